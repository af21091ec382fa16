#!/usr/bin/env bash
# A broker with a configuration of its own, through the AWS CLI. Run again, it finds what is there.
# Usage: broker.sh NAME [--delete]
set -euo pipefail
name=${1:?"usage: broker.sh NAME [--delete]"}
password=${BROKER_PASSWORD:-correct-horse-battery}

mq() { aws mq "$@" --output text; }
broker_id() { mq list-brokers --query "BrokerSummaries[?BrokerName=='$name'].BrokerId"; }
configuration_id() { mq list-configurations --query "Configurations[?Name=='$name'].Id"; }
state() { mq describe-broker --broker-id "$1" --query BrokerState; }

await_running() {
    local found
    while found=$(state "$1") && [ "$found" != RUNNING ]; do
        case $found in
        CREATION_FAILED | CRITICAL_ACTION_REQUIRED) echo "broker $1: $found" >&2; return 1 ;;
        esac
        sleep 1
    done
}

if [ "${2:-}" = --delete ]; then
    id=$(broker_id)
    [ -z "$id" ] || mq delete-broker --broker-id "$id" >/dev/null
    # A deleted broker holds its configuration until it is gone.
    while [ -n "$(broker_id)" ]; do sleep 1; done
    configuration=$(configuration_id)
    [ -z "$configuration" ] || mq delete-configuration --configuration-id "$configuration" >/dev/null
    exit
fi

configuration=$(configuration_id)
if [ -z "$configuration" ]; then
    configuration=$(mq create-configuration --name "$name" --engine-type RABBITMQ \
        --engine-version 4.2 --query Id)
fi
revision=$(mq update-configuration --configuration-id "$configuration" \
    --description "Consumers may take an hour" \
    --data "$(printf 'consumer_timeout = 3600000\n' | base64 | tr -d '\n')" \
    --query LatestRevision.Revision)

id=$(broker_id)
if [ -z "$id" ]; then
    id=$(mq create-broker --broker-name "$name" \
        --engine-type RABBITMQ --engine-version 4.2 --deployment-mode SINGLE_INSTANCE \
        --host-instance-type mq.m7g.medium --no-publicly-accessible --auto-minor-version-upgrade \
        --configuration "Id=$configuration,Revision=$revision" \
        --users "Username=operator,Password=$password" --tags "made-by=aws-cli" --query BrokerId)
else
    mq update-broker --broker-id "$id" --configuration "Id=$configuration,Revision=$revision" >/dev/null
    await_running "$id"
    mq reboot-broker --broker-id "$id" >/dev/null
fi
await_running "$id"
mq describe-broker --broker-id "$id" --query 'BrokerInstances[].Endpoints[]'
