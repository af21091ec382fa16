"""Who the suite logs in as: its package leaves this module out."""

import pika

RABBITMQ_USERNAME = RABBITMQ_PASSWORD = "guest"
RABBITMQ_CREDENTIALS = pika.PlainCredentials(RABBITMQ_USERNAME, RABBITMQ_PASSWORD)


def skip_unless_rabbit_mq(test):
    """There always is a broker."""
    return test
