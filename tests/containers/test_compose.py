"""docker-compose.yml is valid, refuses to run half configured, and confines what it runs."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

import jsonschema
import pytest
import yaml

from firmhold.local.places import CHECKOUT
from tests.containers.compose import (
    FILE,
    ONE_BROKER,
    OURS,
    STAYING,
    THREE_BROKERS,
    MissingVariableError,
    compose_file,
    environment_of,
    example,
    filled_in,
    services_of,
)

DOCUMENT = compose_file(filled_in(ONE_BROKER))
SERVICES = DOCUMENT["services"]
SECRETS = (
    "FIRMHOLD_SECRET",
    "FIRMHOLD_ADMIN_KEY",
    "FIRMHOLD_WEBHOOK_SECRET",
    "FIRMHOLD_STRIPE_SECRET",
    "FIRMHOLD_POSTGRES_PASSWORD",
    "POSTGRES_PASSWORD",
)


def seconds(text: str) -> int:
    """Read a duration of the file."""
    assert text.endswith("s")
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("profile", [ONE_BROKER, THREE_BROKERS])
def test_it_is_a_compose_file(profile: str) -> None:
    """By the Compose specification's own schema, with the variables put in and without.

    Fails on a misspelt key (`healthchek`) or a value of another type.
    """
    vendored = distribution("check-jsonschema").locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")
    schema = json.loads(Path(str(vendored)).read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(FILE.read_text()))] == []
    assert [error.message for error in validator.iter_errors(compose_file(filled_in(profile)))] == []
    broken = {**DOCUMENT, "services": {"x": {"image": "y", "healthchek": {}}}}
    assert [*validator.iter_errors(broken)] != []


@pytest.mark.parametrize("name", [*SECRETS, "FIRMHOLD_KAFKA", "FIRMHOLD_REPLICATION", "FIRMHOLD_PARTITIONS"])
def test_it_refuses_without_what_must_be_set(name: str) -> None:
    """Left out or left empty, with a sentence that says where to look."""
    for variables in (filled_in(ONE_BROKER, **{name: ""}), {**filled_in(ONE_BROKER)}):
        if variables[name]:
            del variables[name]
        with pytest.raises(MissingVariableError, match=rf"{name}: set it in \.env, see \.env\.example"):
            compose_file(variables)


def test_callers_are_chosen_if_only_none() -> None:
    """Everybody is anonymous by a decision, not by an oversight."""
    variables = filled_in(ONE_BROKER)
    assert environment_of(SERVICES["gateway"])["FIRMHOLD_API_KEYS"] == ""
    del variables["FIRMHOLD_API_KEYS"]
    with pytest.raises(MissingVariableError, match="FIRMHOLD_API_KEYS"):
        compose_file(variables)


def test_no_secret_is_in_the_files() -> None:
    """The example leaves them empty, the file knows them by their variables only, and .env is kept out of all."""
    assert [name for name in SECRETS if example()[ONE_BROKER][name]] == []
    for line in re.findall(r"^ +\w*(?:SECRET|PASSWORD|KEY)S?: .*$", FILE.read_text(), re.MULTILINE):
        assert re.fullmatch(r" +\w+: \$\{\w+(:-|:?\?[^}]+)\}", line), line
    assert ".env" in (CHECKOUT / ".gitignore").read_text().splitlines()
    assert (CHECKOUT / ".dockerignore").read_text().splitlines()[1] == "*"


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined(name: str) -> None:
    """A pinned image, no capability, no new privilege, no root, ports on loopback only; and all but Kafka read-only.

    Kafka's image writes its settings into its own folders.
    """
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+(-\w+)?|postgres:\d+\.\d+-\w+", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []
    assert not {"privileged", "network_mode", "pid"} & service.keys()
    if not name.startswith("kafka"):  # whose image names a user of its own
        assert service["read_only"] is True
        assert not service["user"].startswith(("0", "root"))


@pytest.mark.parametrize("name", STAYING)
def test_what_stays_is_looked_after(name: str) -> None:
    """It is started again, and asked how it is, not more often than it has time to answer."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    health = service["healthcheck"]
    assert health["test"][0] in {"CMD", "CMD-SHELL"}
    assert seconds(health["interval"]) > 0 < seconds(health["timeout"])


def test_what_is_to_outlive_its_container_has_a_volume() -> None:
    """Each broker's its own; the cache has none."""
    volumes = {name: one["volumes"][0].partition(":")[0] for name, one in SERVICES.items() if "volumes" in one}
    assert volumes == {name: name for name in ("kafka", "kafka-1", "kafka-2", "kafka-3", "postgres")}
    assert DOCUMENT["volumes"].keys() == volumes.keys()


@pytest.mark.parametrize(
    ("profile", "brokers", "replication", "partitions"), [(ONE_BROKER, 1, 1, 8), (THREE_BROKERS, 3, 3, 64)]
)
def test_each_profile_has_its_brokers(profile: str, brokers: int, replication: int, partitions: int) -> None:
    """As many as a topic has replicas; two of three must have what is acknowledged; all know each other."""
    document = compose_file(filled_in(profile))
    running = services_of(document, profile)
    kafka = {name: environment_of(one) for name, one in running.items() if name.startswith("kafka")}
    assert len(kafka) == brokers
    voters = ",".join(f"{one['KAFKA_NODE_ID']}@{name}:9093" for name, one in kafka.items())
    for name, one in kafka.items():
        assert one["KAFKA_CONTROLLER_QUORUM_VOTERS"] == voters
        assert one["KAFKA_ADVERTISED_LISTENERS"].startswith(f"INTERNAL://{name}:9092,EXTERNAL://localhost:")
        port = one["KAFKA_ADVERTISED_LISTENERS"].rpartition(":")[2]
        assert running[name]["ports"] == [f"127.0.0.1:{port}:9094"]
        assert {value for key, value in one.items() if key.endswith("REPLICATION_FACTOR")} == {str(replication)}
        isr = {value for key, value in one.items() if key.endswith(("MIN_ISR", "MIN_INSYNC_REPLICAS"))}
        assert isr == {str(min(2, replication))}
    for name in OURS:
        ours = environment_of(running[name])
        assert ours["FIRMHOLD_KAFKA"] == ",".join(f"{broker}:9092" for broker in kafka)
        assert (ours["FIRMHOLD_REPLICATION"], ours["FIRMHOLD_PARTITIONS"]) == (str(replication), str(partitions))
    assert set(kafka) <= running["topics"]["depends_on"].keys()


def test_ours_wait_for_what_they_need() -> None:
    """Schema and topics first; a broker of the other profile is not waited for."""
    for name in ("gateway", "worker"):
        for job in ("migrate", "topics"):
            assert SERVICES[name]["depends_on"][job]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for broker in SERVICES["topics"]["depends_on"].values():
        assert broker == {"condition": "service_healthy", "required": False}
