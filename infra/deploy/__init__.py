"""What `make deploy` does: the whole of a first deployment, and of every one after it.

1. stages     which stage, as samconfig.toml has it
2. preflight  what the account and this machine must have; each problem is one sentence with its remedy
3. foundation the registry and the artefact bucket, which must exist before anything else
4. image      the matcher's image, built, pushed and known by its digest
5. stack      `sam build` and `sam deploy`
6. listing    assets, products and fees that are not listed yet
7. operators  the first operator, by invitation, with a second factor at first login
8. web        the screen, uploaded, and CloudFront told to forget the old one
9. smoke      through the public door: log in, deposit, an order placed, found and cancelled

Each step finds what the last deployment left and changes only what differs, so after a failure one deploys again.
"""
