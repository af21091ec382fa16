"""The suite's broker: its package leaves this module out."""

import pytest
from tests.docker_client import DockerClient
from yarl import URL


@pytest.fixture(scope="session")
def rabbitmq_container():
    return DockerClient().run("mosquito/aiormq-rabbitmq", ["5672/tcp", "5671/tcp"])


@pytest.fixture(scope="session")
def amqp_direct_url(rabbitmq_container):
    return URL.build(
        scheme="amqp",
        user="guest",
        password="guest",
        host=rabbitmq_container.host,
        port=rabbitmq_container.ports["5672/tcp"],
        path="//",
    )
