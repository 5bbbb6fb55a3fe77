"""The laptop cloud: AWS in one process beside you, the edge before it, and what puts the template there.

1. `cloud`        the process that answers where AWS would (MiniStack, with `workarounds` applied)
2. `functions`    how a Lambda function runs in it: `function_pool` leases workers, `function_worker` is one
3. `packaging`    what `sam package` does, for the laptop; `deployment` creates or updates the stack
4. `edge`         one origin for web, REST and WebSocket, as CloudFront is in the cloud
5. `preflight`, `processes`, `laptop`   checks, process records, and `exchange up|down` themselves
"""
