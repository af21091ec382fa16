//! Sanitising, case by case; the first ones as Amazon MQ was seen to answer them.

use std::time::{Duration, Instant};

use super::*;

fn wrap(inner: &str) -> String {
    format!(r#"<broker xmlns="{NAMESPACE}">{inner}</broker>"#)
}

fn simple(text: &str) -> Result<Sanitized, Invalid> {
    sanitize(text, AuthenticationStrategy::Simple)
}

/// The warnings as `element`, `element.attribute` with the first letter of the reason's kind.
fn told(sanitized: &Sanitized) -> Vec<String> {
    let line = |warning: &SanitizationWarning| {
        let attribute = warning.attribute.iter().map(|name| format!(".{name}"));
        let attribute: String = attribute.collect();
        format!("{}{attribute} {}", warning.element, warning.reason.name())
    };
    sanitized.warnings.iter().map(line).collect()
}

#[test]
fn what_is_permitted_stays_byte_for_byte() {
    for text in [
        DEFAULT,
        r#"<broker/>"#,
        "<?xml version=\"1.0\"?>\r\n<!-- why -->\r\n<broker  persistent = 'false'>\r\n</broker>\r\n",
        &wrap(
            r#"<plugins><authorizationPlugin><map><authorizationMap><authorizationEntries>
               <authorizationEntry admin="a,activemq-webconsole" read="a" write="b" queue="&gt;"/>
               </authorizationEntries><tempDestinationAuthorizationEntry>
               <tempDestinationAuthorizationEntry admin="a"/></tempDestinationAuthorizationEntry>
               </authorizationMap></map></authorizationPlugin><statisticsBrokerPlugin/>
               <timeStampingBrokerPlugin ttlCeiling="86400000" zeroExpirationOverride="1"/>
               <redeliveryPlugin><redeliveryPolicyMap><redeliveryPolicyMap><defaultEntry>
               <redeliveryPolicy maximumRedeliveries="4"/></defaultEntry></redeliveryPolicyMap>
               </redeliveryPolicyMap></redeliveryPlugin></plugins>"#,
        ),
        &wrap(
            r#"<networkConnectors><networkConnector name="1_to_2" userName="common" duplex="true"
               uri="static:(ssl://b-1-1.mq.eu-west-1.example.org:61617)?a=b&amp;c=d">
               <excludedDestinations><queue physicalName="LOCAL.&gt;"/></excludedDestinations>
               </networkConnector></networkConnectors><transportConnectors>
               <transportConnector name="openwire" updateClusterClients="true"
               rebalanceClusterClients="true"/></transportConnectors>"#,
        ),
        &wrap(
            r#"<persistenceAdapter><kahaDB preallocationStrategy="zeros"
               concurrentStoreAndDispatchQueues="false" journalDiskSyncInterval="10000"
               journalDiskSyncStrategy="periodic"/></persistenceAdapter><systemUsage>
               <systemUsage sendFailIfNoSpace="true"><memoryUsage>
               <memoryUsage percentOfJvmHeap="60"/></memoryUsage></systemUsage></systemUsage>"#,
        ),
    ] {
        let sanitized = simple(text).unwrap();
        assert_eq!(told(&sanitized), [""; 0], "{text}");
        assert_eq!(sanitized.text, None);
    }
}

#[test]
fn attributes_that_are_not_permitted_go_and_are_told_by_name() {
    let text = format!(
        r#"<broker xmlns="{NAMESPACE}" zUnknown="1" brokerName="name" aUnknown="2" advisorySupport="invalid"/>"#
    );
    let sanitized = simple(&text).unwrap();
    assert_eq!(
        told(&sanitized),
        [
            "broker.aUnknown DISALLOWED_ATTRIBUTE_REMOVED",
            "broker.brokerName DISALLOWED_ATTRIBUTE_REMOVED",
            "broker.zUnknown DISALLOWED_ATTRIBUTE_REMOVED",
        ]
    );
    let kept = format!(r#"<broker xmlns="{NAMESPACE}" advisorySupport="invalid"/>"#);
    assert_eq!(sanitized.text, Some(kept));
}

#[test]
fn values_that_would_be_computed_go() {
    let text = format!(
        r##"<broker xmlns="{NAMESPACE}" advisorySupport="${{value}}" populateJMSXUserID="#{{value}}" persistent="#bean"/>"##
    );
    let sanitized = simple(&text).unwrap();
    assert_eq!(
        told(&sanitized),
        [
            "broker.advisorySupport INVALID_ATTRIBUTE_VALUE_REMOVED",
            "broker.persistent INVALID_ATTRIBUTE_VALUE_REMOVED",
            "broker.populateJMSXUserID INVALID_ATTRIBUTE_VALUE_REMOVED",
        ]
    );
    assert_eq!(
        sanitized.text.unwrap(),
        format!(r#"<broker xmlns="{NAMESPACE}"/>"#)
    );
    let text = wrap("<plugins>${all}</plugins>");
    let sanitized = simple(&text).unwrap();
    assert_eq!(told(&sanitized), ["plugins DISALLOWED_ELEMENT_REMOVED"]);
    assert_eq!(sanitized.text.unwrap(), wrap(""));
}

#[test]
fn an_element_that_is_not_permitted_goes_with_all_that_is_in_it() {
    for (inner, gone) in [
        (
            r#"<unknownSetting unsafe="true"><another/><queue physicalName="q"/></unknownSetting>"#,
            "unknownSetting",
        ),
        (r#"<other xmlns="urn:not-activemq"/>"#, "other"),
        (r#"<plugins xmlns="urn:not-activemq"/>"#, "plugins"),
        // Known, but not here.
        (r#"<queue physicalName="wrong-parent"/>"#, "queue"),
        (r#"<policyMap/>"#, "policyMap"),
        (r#"<bean id="x" class="java.lang.Runtime"/>"#, "bean"),
    ] {
        let sanitized = simple(&wrap(inner)).unwrap();
        let expected = format!("{gone} DISALLOWED_ELEMENT_REMOVED");
        assert_eq!(told(&sanitized), [expected]);
        assert_eq!(sanitized.text.unwrap(), wrap(""));
    }
}

#[test]
fn what_is_left_is_permitted_and_warnings_come_in_the_order_of_the_text() {
    let text = wrap(
        r#"
  <sslContext><sslContext keyStore="x"/></sslContext>
  <plugins id="p">
    <simpleAuthenticationPlugin/>
    <statisticsBrokerPlugin id="s"/>
  </plugins>
  <destinations><queue physicalName="${q}" DLQ="true"/></destinations>
"#,
    );
    let sanitized = simple(&text).unwrap();
    assert_eq!(
        told(&sanitized),
        [
            "sslContext DISALLOWED_ELEMENT_REMOVED",
            "plugins.id DISALLOWED_ATTRIBUTE_REMOVED",
            "simpleAuthenticationPlugin DISALLOWED_ELEMENT_REMOVED",
            "statisticsBrokerPlugin.id DISALLOWED_ATTRIBUTE_REMOVED",
            "queue.physicalName INVALID_ATTRIBUTE_VALUE_REMOVED",
        ]
    );
    let kept = wrap(
        "\n  \n  <plugins>\n    \n    <statisticsBrokerPlugin/>\n  </plugins>\n  \
         <destinations><queue DLQ=\"true\"/></destinations>\n",
    );
    assert_eq!(sanitized.text.as_deref(), Some(kept.as_str()));
    let again = simple(&kept).unwrap();
    assert_eq!((again.text, again.warnings), (None, Vec::new()));
}

#[test]
fn only_the_first_twenty_warnings_are_told() {
    let many: String = (0..30).map(|n| format!("<e{n}/>")).collect();
    let sanitized = simple(&wrap(&many)).unwrap();
    assert_eq!(sanitized.warnings.len(), 20);
    assert_eq!(sanitized.warnings[19].element, "e19");
    assert_eq!(sanitized.text.unwrap(), wrap(""));
}

#[test]
fn a_directorys_map_is_for_brokers_that_use_one() {
    let map = |attributes: &str| {
        wrap(&format!(
            "<plugins><authorizationPlugin><map><cachedLDAPAuthorizationMap {attributes}/></map>\
             </authorizationPlugin></plugins>"
        ))
    };
    let bases = r#"queueSearchBase="ou=q" topicSearchBase="ou=t" tempSearchBase="ou=s""#;
    let whole = map(bases);
    let ldap = |text: &str| sanitize(text, AuthenticationStrategy::Ldap);
    assert_eq!(ldap(&whole).unwrap().text, None);
    assert_eq!(
        told(&simple(&whole).unwrap()),
        ["cachedLDAPAuthorizationMap DISALLOWED_ELEMENT_REMOVED"]
    );
    let secret = map(&format!(r#"{bases} connectionPassword="secret""#));
    assert_eq!(
        told(&ldap(&secret).unwrap()),
        ["cachedLDAPAuthorizationMap.connectionPassword DISALLOWED_ATTRIBUTE_REMOVED"]
    );
    assert_eq!(
        ldap(&map(r#"queueSearchBase="ou=q" tempSearchBase="ou=s""#))
            .unwrap_err()
            .message,
        "The specified XML configuration data is invalid: cvc-complex-type.4: Attribute \
         'topicSearchBase' must appear on element 'cachedLDAPAuthorizationMap'."
    );
}

#[test]
fn what_is_no_configuration_is_refused_with_the_reason() {
    let prefix = "The specified XML configuration data is invalid: ";
    for (text, reason) in [
        ("", "the document does not have a root node."),
        ("<broker>", "the root node was opened but never closed."),
        (
            "<broker></brokr>",
            "expected 'broker' tag, not 'brokr' at 1:9.",
        ),
        (
            "<beans/>",
            "cvc-elt.1.a: Cannot find the declaration of element 'beans'.",
        ),
        (
            r#"<broker xmlns="urn:other"/>"#,
            "cvc-elt.1.a: Cannot find the declaration of element 'broker'.",
        ),
        (
            r#"<!DOCTYPE broker [<!ENTITY x SYSTEM "file:///etc/passwd">]><broker>&x;</broker>"#,
            "A document type declaration is not allowed.",
        ),
        (
            "<broker>&x;</broker>",
            "unknown entity reference 'x' at 1:9.",
        ),
    ] {
        let refused = simple(text).unwrap_err();
        assert_eq!(refused.attribute, "data");
        assert_eq!(refused.message, format!("{prefix}{reason}"), "{text}");
    }
    let refused = simple(&wrap(
        r#"<transportConnectors><transportConnector name="extra" uri="tcp://0.0.0.0:1"/></transportConnectors>"#,
    ));
    assert!(
        refused
            .unwrap_err()
            .message
            .starts_with(&format!("{prefix}cvc-attribute.3: The value 'extra'"))
    );
}

#[test]
fn hostile_documents_are_refused_or_cleaned_in_little_time() {
    let began = Instant::now();
    let laughs = r#"<!DOCTYPE broker [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"#;
    assert!(simple(&format!("{laughs}<broker>&b;</broker>")).is_err());
    let wide = "<a/>".repeat(200_000);
    assert!(simple(&wrap(&wide)).is_err());
    let deep = format!("{}{}", "<a>".repeat(40_000), "</a>".repeat(40_000));
    assert_eq!(simple(&wrap(&deep)).unwrap().text.unwrap(), wrap(""));
    let wrapped = "<wrapped><retainedMessageSubscriptionRecoveryPolicy>".repeat(10_000)
        + &"</retainedMessageSubscriptionRecoveryPolicy></wrapped>".repeat(10_000);
    let policy = format!(
        "<destinationPolicy><policyMap><defaultEntry><policyEntry><subscriptionRecoveryPolicy>\
         <retainedMessageSubscriptionRecoveryPolicy>{wrapped}\
         </retainedMessageSubscriptionRecoveryPolicy></subscriptionRecoveryPolicy></policyEntry>\
         </defaultEntry></policyMap></destinationPolicy>"
    );
    assert_eq!(simple(&wrap(&policy)).unwrap().text, None);
    let crowd = |count| -> String { (0..count).map(|n| format!(" a{n} =\t'1'")).collect() };
    let crowded = |count| simple(&format!("<broker{}/>", crowd(count)));
    assert_eq!(crowded(256).unwrap().text.unwrap(), "<broker/>");
    assert!(crowded(40_000).is_err());
    let nested: String = (0..20_000).map(|n| format!("<a xmlns:n{n}='n'>")).collect();
    assert!(simple(&wrap(&nested)).is_err());
    let banner = format!("<!-- {} -->", "=".repeat(10_000));
    assert_eq!(simple(&wrap(&banner)).unwrap().text, None);
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
}
