//! What may stand in an ActiveMQ configuration.
//!
//! Names alone, from the tables of the Amazon MQ developer guide, "Amazon MQ broker configuration
//! parameters", and the schemas that it publishes for ActiveMQ 5.18 and 5.19. An element has
//! attributes and collections; a collection has elements, and no attributes of its own.

/// An element that may be configured.
#[derive(Debug)]
pub(super) struct Element {
    name: &'static str,
    /// Separated by spaces.
    attributes: &'static str,
    /// Names, each with what may stand in it, separated by spaces.
    collections: &'static [(&'static str, &'static str)],
}

/// The element that holds everything.
pub(super) const ROOT: &str = "broker";

/// Where brokers whose users are kept in a directory have their permissions from.
pub(super) const DIRECTORY_MAP: &str = "cachedLDAPAuthorizationMap";

impl Element {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|element| element.name == name)
    }

    pub(super) fn has_attribute(&self, name: &str) -> bool {
        self.attributes.split(' ').any(|known| known == name)
    }

    /// The names of the elements of a collection, separated by spaces.
    pub(super) fn collection(&self, name: &str) -> Option<&'static str> {
        let found = self.collections.iter().find(|(known, _)| *known == name);
        found.map(|(_, members)| *members)
    }
}

const fn element(
    name: &'static str,
    attributes: &'static str,
    collections: &'static [(&'static str, &'static str)],
) -> Element {
    Element {
        name,
        attributes,
        collections,
    }
}

const AUTHORIZATION_ENTRIES: &str = "authorizationEntry tempDestinationAuthorizationEntry";

const DESTINATIONS: &str = "queue tempQueue tempTopic topic";

const FILTERED_DESTINATIONS: &str = "queue tempQueue tempTopic topic filteredDestination";

const RECOVERY_POLICIES: &str = "fixedCountSubscriptionRecoveryPolicy \
     fixedSizedSubscriptionRecoveryPolicy lastImageSubscriptionRecoveryPolicy \
     noSubscriptionRecoveryPolicy queryBasedSubscriptionRecoveryPolicy \
     retainedMessageSubscriptionRecoveryPolicy timedSubscriptionRecoveryPolicy";

const TABLE: [Element; 65] = [
    element(
        "abortSlowAckConsumerStrategy",
        "abortConnection checkPeriod ignoreIdleConsumers ignoreNetworkConsumers \
         maxSlowCount maxSlowDuration maxTimeSinceLastAck name",
        &[],
    ),
    element(
        "abortSlowConsumerStrategy",
        "abortConnection checkPeriod ignoreNetworkConsumers maxSlowCount maxSlowDuration name",
        &[],
    ),
    element(
        "authorizationEntry",
        "admin queue read tempQueue tempTopic topic write",
        &[],
    ),
    element(
        "authorizationMap",
        "",
        &[
            ("authorizationEntries", AUTHORIZATION_ENTRIES),
            ("defaultEntry", AUTHORIZATION_ENTRIES),
            (
                "tempDestinationAuthorizationEntry",
                "tempDestinationAuthorizationEntry",
            ),
        ],
    ),
    element(
        "authorizationPlugin",
        "",
        &[("map", "authorizationMap cachedLDAPAuthorizationMap")],
    ),
    element(
        "broker",
        "advisorySupport allowTempAutoCreationOnSend anonymousProducerAdvisorySupport \
         cacheTempDestinations consumerSystemUsagePortion dedicatedTaskRunner \
         deleteAllMessagesOnStartup enableMessageExpirationOnActiveDurableSubs \
         keepDurableSubsActive maxPurgedDestinationsPerSweep maxSchedulerRepeatAllowed \
         maxUncommittedCount monitorConnectionSplits networkConnectorStartAsync \
         offlineDurableSubscriberTaskSchedule offlineDurableSubscriberTimeout \
         persistenceThreadPriority persistent populateJMSXUserID producerSystemUsagePortion \
         rejectDurableConsumers rollbackOnlyOnAsyncException \
         schedulePeriodForDestinationPurge schedulerSupport \
         splitSystemUsageForProducersConsumers taskRunnerPriority \
         timeBeforePurgeTempDestinations useAuthenticatedPrincipalForJMSXUserID \
         useMirroredQueues useTempMirroredQueues useVirtualDestSubs \
         useVirtualDestSubsOnCreation useVirtualTopics",
        &[
            (
                "destinationInterceptors",
                "mirroredQueue virtualDestinationInterceptor",
            ),
            ("destinationPolicy", "policyMap"),
            ("destinations", DESTINATIONS),
            ("networkConnectors", "networkConnector"),
            ("persistenceAdapter", "kahaDB"),
            (
                "plugins",
                "authorizationPlugin discardingDLQBrokerPlugin \
                 forcePersistencyModeBrokerPlugin redeliveryPlugin statisticsBrokerPlugin \
                 timeStampingBrokerPlugin",
            ),
            ("systemUsage", "systemUsage"),
            ("transportConnectors", "transportConnector"),
        ],
    ),
    element(
        "cachedLDAPAuthorizationMap",
        "adminPermissionGroupSearchFilter groupNameAttribute groupObjectClass \
         legacyGroupMapping permissionGroupMemberAttribute queueSearchBase \
         readPermissionGroupSearchFilter refreshDisabled refreshInterval tempSearchBase \
         topicSearchBase userNameAttribute userObjectClass writePermissionGroupSearchFilter",
        &[],
    ),
    element("cachedMessageGroupMapFactory", "cacheSize", &[]),
    element("clientIdFilterDispatchPolicy", "ptpClientId ptpSuffix", &[]),
    element(
        "compositeQueue",
        "concurrentSend copyMessage forwardOnly name sendWhenNotMatched",
        &[("forwardTo", FILTERED_DESTINATIONS)],
    ),
    element(
        "compositeTopic",
        "concurrentSend copyMessage forwardOnly name sendWhenNotMatched",
        &[("forwardTo", FILTERED_DESTINATIONS)],
    ),
    element(
        "conditionalNetworkBridgeFilterFactory",
        "rateDuration rateLimit replayDelay replayWhenNoConsumers selectorAware",
        &[],
    ),
    element("constantPendingMessageLimitStrategy", "limit", &[]),
    element(
        "discarding",
        "deadLetterQueue enableAudit expiration maxAuditDepth maxProducersToAudit \
         processExpired processNonPersistent",
        &[],
    ),
    element(
        "discardingDLQBrokerPlugin",
        "dropAll dropOnly dropTemporaryQueues dropTemporaryTopics reportInterval",
        &[],
    ),
    element("fileCursor", "", &[]),
    element("fileDurableSubscriberCursor", "", &[]),
    element("fileQueueCursor", "", &[]),
    element("filteredDestination", "queue selector topic", &[]),
    element("fixedCountSubscriptionRecoveryPolicy", "maximumSize", &[]),
    element(
        "fixedSizedSubscriptionRecoveryPolicy",
        "maximumSize useSharedBuffer",
        &[],
    ),
    element("forcePersistencyModeBrokerPlugin", "persistenceFlag", &[]),
    element(
        "individualDeadLetterStrategy",
        "destinationPerDurableSubscriber enableAudit expiration maxAuditDepth \
         maxProducersToAudit processExpired processNonPersistent queuePrefix queueSuffix \
         topicPrefix topicSuffix useQueueForQueueMessages useQueueForTopicMessages",
        &[],
    ),
    element(
        "kahaDB",
        "checkpointInterval cleanupOnStop concurrentStoreAndDispatchQueues \
         indexWriteBatchSize journalDiskSyncInterval journalDiskSyncStrategy \
         preallocationStrategy",
        &[],
    ),
    element("lastImageSubscriptionRecoveryPolicy", "", &[]),
    element("memoryUsage", "percentOfJvmHeap", &[]),
    element(
        "messageGroupHashBucketFactory",
        "bucketCount cacheSize",
        &[],
    ),
    element("mirroredQueue", "copyMessage postfix prefix", &[]),
    element(
        "networkConnector",
        "advisoryAckPercentage advisoryForFailedForward advisoryPrefetchSize alwaysSyncSend \
         bridgeFactory bridgeTempDestinations brokerName brokerURL \
         checkDuplicateMessagesOnDuplex clientIdToken conduitNetworkQueueSubscriptions \
         conduitSubscriptions connectionFilter consumerPriorityBase consumerTTL \
         decreaseNetworkConsumerPriority destinationFilter dispatchAsync duplex dynamicOnly \
         gcDestinationViews gcSweepTime localUri messageTTL name networkTTL objectName \
         prefetchSize staticBridge suppressDuplicateQueueSubscriptions \
         suppressDuplicateTopicSubscriptions syncDurableSubs uri useBrokerNameAsIdSees \
         useCompression username userName useVirtualDestSubs",
        &[
            ("durableDestinations", FILTERED_DESTINATIONS),
            ("dynamicallyIncludedDestinations", FILTERED_DESTINATIONS),
            ("excludedDestinations", FILTERED_DESTINATIONS),
            ("staticallyIncludedDestinations", FILTERED_DESTINATIONS),
        ],
    ),
    element("noSubscriptionRecoveryPolicy", "", &[]),
    element(
        "oldestMessageEvictionStrategy",
        "evictExpiredMessagesHighWatermark",
        &[],
    ),
    element(
        "oldestMessageWithLowestPriorityEvictionStrategy",
        "evictExpiredMessagesHighWatermark",
        &[],
    ),
    element(
        "policyEntry",
        "advisoryForConsumed advisoryForDelivery advisoryForDiscardingMessages \
         advisoryForDispatched advisoryForFastProducers advisoryForSlowConsumers \
         advisoryWhenFull allConsumersExclusiveByDefault alwaysRetroactive \
         blockedProducerWarningInterval consumersBeforeDispatchStarts \
         cursorMemoryHighWaterMark doOptimizeMessageStorage doOptimzeMessageStorage \
         durableTopicPrefetch enableAudit expireMessagesPeriod gcInactiveDestinations \
         gcWithNetworkConsumers inactiveTimeoutBeforeGC inactiveTimoutBeforeGC \
         includeBodyForAdvisory lazyDispatch maxAuditDepth maxBrowsePageSize \
         maxDestinations maxExpirePageSize maxPageSize maxProducersToAudit \
         maxQueueAuditDepth memoryLimit messageGroupMapFactoryType minimumMessageSize \
         optimizedDispatch optimizeMessageStoreInFlightLimit persistJMSRedelivered \
         prioritizedMessages producerFlowControl queue queueBrowserPrefetch queuePrefetch \
         reduceMemoryFootprint sendAdvisoryIfNoConsumers sendDuplicateFromStoreToDLQ \
         sendFailIfNoSpace sendFailIfNoSpaceAfterTimeout storeUsageHighWaterMark \
         strictOrderDispatch tempQueue tempTopic timeBeforeDispatchStarts topic \
         topicPrefetch useCache useConsumerPriority usePrefetchExtension \
         useTopicSubscriptionInflightStats",
        &[
            (
                "deadLetterStrategy",
                "discarding individualDeadLetterStrategy sharedDeadLetterStrategy",
            ),
            ("destination", DESTINATIONS),
            (
                "dispatchPolicy",
                "clientIdFilterDispatchPolicy priorityDispatchPolicy \
                 priorityNetworkDispatchPolicy roundRobinDispatchPolicy \
                 simpleDispatchPolicy strictOrderDispatchPolicy",
            ),
            (
                "messageEvictionStrategy",
                "oldestMessageEvictionStrategy \
                 oldestMessageWithLowestPriorityEvictionStrategy \
                 uniquePropertyMessageEvictionStrategy",
            ),
            (
                "messageGroupMapFactory",
                "cachedMessageGroupMapFactory messageGroupHashBucketFactory \
                 simpleMessageGroupMapFactory",
            ),
            (
                "networkBridgeFilterFactory",
                "conditionalNetworkBridgeFilterFactory",
            ),
            (
                "pendingDurableSubscriberPolicy",
                "fileDurableSubscriberCursor storeDurableSubscriberCursor vmDurableCursor",
            ),
            (
                "pendingMessageLimitStrategy",
                "constantPendingMessageLimitStrategy prefetchRatePendingMessageLimitStrategy",
            ),
            (
                "pendingQueuePolicy",
                "fileQueueCursor storeCursor vmQueueCursor",
            ),
            ("pendingSubscriberPolicy", "fileCursor vmCursor"),
            (
                "slowConsumerStrategy",
                "abortSlowAckConsumerStrategy abortSlowConsumerStrategy",
            ),
            ("subscriptionRecoveryPolicy", RECOVERY_POLICIES),
        ],
    ),
    element(
        "policyMap",
        "",
        &[
            ("defaultEntry", "policyEntry"),
            ("policyEntries", "policyEntry"),
        ],
    ),
    element("prefetchRatePendingMessageLimitStrategy", "multiplier", &[]),
    element("priorityDispatchPolicy", "", &[]),
    element("priorityNetworkDispatchPolicy", "", &[]),
    element("queryBasedSubscriptionRecoveryPolicy", "query", &[]),
    element("queue", "DLQ physicalName", &[]),
    element(
        "redeliveryPlugin",
        "fallbackToDeadLetter sendToDlqIfMaxRetriesExceeded",
        &[("redeliveryPolicyMap", "redeliveryPolicyMap")],
    ),
    element(
        "redeliveryPolicy",
        "backOffMultiplier collisionAvoidancePercent initialRedeliveryDelay \
         maximumRedeliveries maximumRedeliveryDelay preDispatchCheck queue redeliveryDelay \
         tempQueue tempTopic topic useCollisionAvoidance useExponentialBackOff",
        &[],
    ),
    element(
        "redeliveryPolicyMap",
        "",
        &[
            ("defaultEntry", "redeliveryPolicy"),
            ("redeliveryPolicyEntries", "redeliveryPolicy"),
        ],
    ),
    element(
        "retainedMessageSubscriptionRecoveryPolicy",
        "",
        &[("wrapped", RECOVERY_POLICIES)],
    ),
    element("roundRobinDispatchPolicy", "", &[]),
    element(
        "sharedDeadLetterStrategy",
        "enableAudit expiration maxAuditDepth maxProducersToAudit processExpired \
         processNonPersistent",
        &[("deadLetterQueue", DESTINATIONS)],
    ),
    element("simpleDispatchPolicy", "", &[]),
    element("simpleMessageGroupMapFactory", "", &[]),
    element("statisticsBrokerPlugin", "", &[]),
    element("storeCursor", "", &[]),
    element(
        "storeDurableSubscriberCursor",
        "immediatePriorityDispatch useCache",
        &[],
    ),
    element("strictOrderDispatchPolicy", "", &[]),
    element(
        "systemUsage",
        "sendFailIfNoSpace sendFailIfNoSpaceAfterTimeout",
        &[("memoryUsage", "memoryUsage")],
    ),
    element(
        "tempDestinationAuthorizationEntry",
        "admin queue read tempQueue tempTopic topic write",
        &[],
    ),
    element("tempQueue", "DLQ physicalName", &[]),
    element("tempTopic", "DLQ physicalName", &[]),
    element("timedSubscriptionRecoveryPolicy", "recoverDuration", &[]),
    element(
        "timeStampingBrokerPlugin",
        "futureOnly processNetworkMessages ttlCeiling zeroExpirationOverride",
        &[],
    ),
    element("topic", "DLQ physicalName", &[]),
    element(
        "transportConnector",
        "name rebalanceClusterClients updateClusterClients updateClusterClientsOnRemove",
        &[],
    ),
    element(
        "uniquePropertyMessageEvictionStrategy",
        "evictExpiredMessagesHighWatermark propertyName",
        &[],
    ),
    element(
        "virtualDestinationInterceptor",
        "",
        &[(
            "virtualDestinations",
            "compositeQueue compositeTopic virtualTopic",
        )],
    ),
    element(
        "virtualTopic",
        "concurrentSend dropOnResourceLimit local name postfix prefix selectorAware \
         setOriginalDestination transactedSend",
        &[],
    ),
    element("vmCursor", "", &[]),
    element("vmDurableCursor", "", &[]),
    element("vmQueueCursor", "", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_may_stand_in_a_collection_is_an_element() {
        for element in &TABLE {
            for (collection, members) in element.collections {
                for member in members.split(' ') {
                    assert!(Element::find(member).is_some(), "{collection}: {member}");
                }
            }
        }
    }

    #[test]
    fn every_element_is_listed_once_and_can_be_reached() {
        let mut reached = vec![ROOT];
        let mut at = 0;
        while let Some(name) = reached.get(at) {
            let element = Element::find(name).unwrap();
            for (_, members) in element.collections {
                for member in members.split(' ') {
                    if !reached.contains(&member) {
                        reached.push(member);
                    }
                }
            }
            at += 1;
        }
        let mut names: Vec<_> = TABLE.iter().map(|element| element.name).collect();
        names.sort_unstable();
        reached.sort_unstable();
        assert_eq!(reached, names);
    }
}
