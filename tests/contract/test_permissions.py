"""A function may do what its settings name, and nothing else."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import pytest
from exchange.fees.store import ALL_VERSIONS, FeeScheduleItem
from exchange.instruments.model import Asset
from exchange.payments.model import BANK, STRIPE, provider_of
from exchange.referrals.store import ACCOUNTS, CODES
from exchange.wallets.model import BankProvider, payment_methods

from tests.contract.cloud_definition import (
    NESTED,
    ROOT,
    Function,
    every_template,
    function_named,
    functions,
    nested_template,
    root_template,
    walk,
)

# AWS defines no resource type for these. Each line of the template says so beside its "*".
WITHOUT_RESOURCE_TYPE = {
    "dynamodb:ListStreams",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "states:SendTaskFailure",
    "states:SendTaskSuccess",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _statements() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every statement of every policy, with its template and its resource's type."""
    for path, template in every_template().items():
        for resource in template["Resources"].values():
            for node in walk(resource["Properties"]):
                if isinstance(node, dict) and "Effect" in node:
                    yield path, resource["Type"], node


def _is_identity_policy(kind: str, statement: dict[str, Any]) -> bool:
    return kind in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"} and "Principal" not in statement


def _table_of(resource: Any) -> str | None:
    """The table that a statement's resource is, or an index of which it is."""
    text = str(resource)
    found = re.search(r"Outputs\.(\w+Table)Arn", text)
    return found[1] if found else None


def test_no_star_among_resources_but_where_aws_knows_no_other() -> None:
    for path, kind, statement in _statements():
        if _is_identity_policy(kind, statement) and "*" in as_list(statement["Resource"]):
            assert set(as_list(statement["Action"])) <= WITHOUT_RESOURCE_TYPE, f"{path} {statement['Sid']}"


def test_every_star_has_its_reason_beside_it() -> None:
    paths = [ROOT / "template.yaml", *(ROOT / "infra" / f"{name}.yaml" for name in NESTED)]
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"(Resource|Principal|AWS): \"\*\"", line) and 'AWS: "*"' not in line:
                assert re.search(r"\"\*\" # \w+", line), f"{path.name}:{number}"


def test_no_action_is_a_star() -> None:
    for path, kind, statement in _statements():
        if _is_identity_policy(kind, statement):
            for action in as_list(statement["Action"]):
                assert "*" not in action, f"{path} {statement['Sid']}: {action}"


def test_no_role_takes_a_policy_of_aws() -> None:
    for template in every_template().values():
        for logical_id, resource in template["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                for policy in resource["Properties"].get("ManagedPolicyArns", []):
                    assert set(policy) == {"Ref"}, logical_id


def test_an_open_key_policy_is_bound_to_this_account_and_to_services() -> None:
    for path, kind, statement in _statements():
        if statement.get("Principal") == {"AWS": "*"}:
            assert kind == "AWS::KMS::Key", path
            assert set(statement["Condition"]["StringEquals"]) == {"kms:CallerAccount", "kms:ViaService"}


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_a_function_reaches_exactly_the_tables_of_its_settings(function: Function) -> None:
    named = {
        value["Fn::GetAtt"][1].removeprefix("Outputs.")
        for name, value in function.variables.items()
        if name.endswith("_TABLE")
    }
    reached = set()
    for statement in function.statements:
        for resource in as_list(statement["Resource"]):
            table = _table_of(resource)
            if table is not None:
                reached.add(table)
                assert all(action.startswith("dynamodb:") for action in as_list(statement["Action"]))
    assert reached == named


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.name)
def test_a_function_writes_its_own_log_only(function: Function) -> None:
    own = function.properties["LoggingConfig"]["LogGroup"]["Ref"]
    logs = [statement for statement in function.statements if "logs:PutLogEvents" in as_list(statement["Action"])]
    assert [statement["Resource"] for statement in logs] == [{"Fn::GetAtt": [own, "Arn"]}]


@pytest.mark.parametrize(
    ("variable", "action"),
    [
        ("ORDERS_STREAM", "kinesis:PutRecord"),
        ("SETTLEMENT_MACHINE_ARN", "states:StartSyncExecution"),
        ("DEPOSIT_MACHINE_ARN", "states:StartExecution"),
        ("SECRETS_KEY_ID", "kms:Decrypt"),
        ("BANK_QUEUE_URL", "sqs:SendMessage"),
        ("BANK_WEBHOOK_SECRET_ARN", "secretsmanager:GetSecretValue"),
        ("STRIPE_WEBHOOK_SECRET_ARN", "secretsmanager:GetSecretValue"),
        ("STRIPE_API_KEY_ARN", "secretsmanager:GetSecretValue"),
        ("QUARANTINE_BUCKET", "s3:PutObject"),
        ("HOT_WALLET_KEY_ARN", "kms:Sign"),
        ("DEPOSIT_SEED_KEY_ARN", "kms:Decrypt"),
        ("REPORTS_QUEUE_URL", "sqs:SendMessage"),
        ("WEBSOCKET_ENDPOINT", "execute-api:ManageConnections"),
        ("BUS_NAME", "events:PutEvents"),
    ],
)
def test_whoever_is_told_of_it_may_use_it(variable: str, action: str) -> None:
    told = {function.name for function in functions() if variable in function.variables}
    assert told
    for function in functions():
        allowed = {each for statement in function.statements for each in as_list(statement["Action"])}
        if function.name in told:
            assert action in allowed, function.name


# Who appends to which chains of the journal.
CHAINS = {
    "settlement-tasks": ["product:*"],
    "chains-schedule": ["rail:chain-*"],
    "payouts-schedule": ["rail:chain-*"],
    "sweeps-schedule": ["rail:chain-*"],
    "fees-schedule": ["awards:*"],
    "profiles-api": ["profiles:*"],
    "transfers-api": ["profiles:*"],
    "wallets-tasks": ["rail:*"],
    "bank-files-queued": ["rail:bank-files"],
    "payments-api": ["rail:stripe", "rail:bank", "rail:sandbox-*"],
    "payments-schedule": ["rail:stripe"],
    "admin-api": ["busts:*", "rail:stripe", "rail:bank-files", "rail:debts"],
}


def test_only_these_functions_write_the_journal_and_only_in_transactions() -> None:
    writers = {}
    for function in functions():
        for statement in function.statements:
            if "JournalTable" in str(_table_of(statement["Resource"])):
                actions = set(as_list(statement["Action"]))
                assert actions <= {"dynamodb:PutItem", "dynamodb:Query"}, function.name
                if "dynamodb:PutItem" in actions:
                    writers[function.name] = statement["Condition"]
    in_transaction = {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}
    assert writers == {
        name: {
            "ForAnyValue:StringEquals": in_transaction,
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": chains},
        }
        for name, chains in CHAINS.items()
    }


def _writers(table: str) -> dict[tuple[str, str], Any]:
    """Who may write a table, by function and action, with the condition that binds it."""
    return {
        (function.name, action): statement.get("Condition")
        for function in functions()
        for statement in function.statements
        if _table_of(statement["Resource"]) == table
        for action in as_list(statement["Action"])
        if action not in {"dynamodb:GetItem", "dynamodb:Query"}
    }


IN_TRANSACTION = {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}


def test_a_fee_schedule_is_published_by_operators_alone() -> None:
    assert _writers("FeeSchedulesTable") == {
        ("admin-api", "dynamodb:UpdateItem"): {
            **IN_TRANSACTION,
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [ALL_VERSIONS]},
        },
        ("fees-schedule", "dynamodb:UpdateItem"): {
            "ForAllValues:StringNotEquals": {"dynamodb:LeadingKeys": [ALL_VERSIONS]},
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["schedule_id", "traded", "closing"]},
        },
    }
    kept = set(FeeScheduleItem.get_attributes())
    assert kept - {"schedule_id", "traded", "closing"} == {"versions", "agreements"}


def test_who_brought_whom_is_written_with_their_account_alone() -> None:
    codes, brought = ({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{name}*"]}} for name in (CODES, ACCOUNTS))
    assert _writers("ReferralsTable") == {
        ("users-api", "dynamodb:PutItem"): {**IN_TRANSACTION, **brought},
        ("users-api", "dynamodb:UpdateItem"): {**IN_TRANSACTION, **codes},
        ("profiles-api", "dynamodb:PutItem"): {**IN_TRANSACTION, **brought},
        ("fees-api", "dynamodb:PutItem"): codes,
    }


def test_what_any_bank_or_stripe_takes_back_may_be_posted() -> None:
    # IAM conditions are not evaluated on a laptop, so a rail that is missing here would be found on AWS alone.
    (granted,) = [
        statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        for statement in function_named("payments-api").statements
        if statement["Sid"] == "AppendToTheJournal"
    ]
    assets = {kind: Asset(kind, kind.title(), 6, kind) for kind in ("fiat", "crypto", "stock")}
    ways = [payment_methods(assets, bank, stripe=True, bank_files=True) for bank in BankProvider]
    rails = {way.rail for each in ways for way in each} | {STRIPE}
    heard = {rail for rail in rails if provider_of(rail) in {BANK, STRIPE}}
    assert len(heard) > 2
    assert [rail for rail in heard if not any(fnmatch(f"rail:{rail}", pattern) for pattern in granted)] == []


@pytest.mark.parametrize(
    ("key", "action", "only"),
    [("HotWalletKey", "kms:Sign", "payouts-schedule"), ("DepositSeedKey", "kms:Decrypt", "sweeps-schedule")],
)
def test_a_key_of_our_money_is_one_functions_only(key: str, action: str, only: str) -> None:
    users = {
        function.name
        for function in functions()
        for statement in function.statements
        if action in as_list(statement["Action"]) and key in str(statement["Resource"])
    }
    assert users == {only}


def test_nobody_deletes_orders_fills_or_balances() -> None:
    for function in functions():
        for statement in function.statements:
            if _table_of(statement["Resource"]) in {"OrdersTable", "FillsTable", "BalancesTable", "TransfersTable"}:
                assert not {"dynamodb:DeleteItem", "dynamodb:BatchWriteItem"} & set(as_list(statement["Action"]))


def test_the_matcher_reaches_no_balance() -> None:
    text = (ROOT / "infra/matcher.yaml").read_text()
    for table in ("Balances", "Journal", "Users", "ApiKeys", "Transfers"):
        assert f"{table}Table" not in text


def test_the_matchers_environment_is_its_settings() -> None:
    from matcher.settings import Settings

    task = nested_template("matcher")["Resources"]["Task"]["Properties"]
    given = {variable["Name"].lower() for variable in task["ContainerDefinitions"][0]["Environment"]}
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert required <= given
    assert given - {"aws_region", "log_level"} <= set(Settings.model_fields)


def test_the_sandbox_bank_holds_nothing_of_ours() -> None:
    bank = function_named("payments-queued")
    assert not [name for name in bank.variables if name.endswith("_TABLE")]


def test_a_stack_stays_far_below_the_limit_of_resources() -> None:
    # 500 is CloudFormation's; SAM adds a few to what the template names.
    for path, template in every_template().items():
        assert len(template["Resources"]) < 400, path
        assert len(template.get("Parameters", {})) < 200, path
    assert len(root_template()["Outputs"]) < 200
