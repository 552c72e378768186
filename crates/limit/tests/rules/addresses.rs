//! Limits by address.

use crate::{item, request};

#[test]
fn addresses_are_the_clients_unless_a_header_of_the_operators_choice_has_one() {
    let keys = r#""limit_keys": [
        { "key": "*", "query_per_second": 1 },
        { "key": "10.0.0.0/8", "query_per_second": 2 },
        { "key": "10.1.0.0/16", "query_per_second": 3 },
        { "key": "10.1.2.3", "query_per_second": 4 },
        { "key": "2001:db8::/32", "query_per_second": 5 } ]"#;
    let remote = item(&format!(
        r#"{{ "limit_by_per_ip": "from-remote-addr", {keys} }}"#
    ));
    for (address, limit) in [
        ("10.1.2.3", 4),
        ("::ffff:10.1.2.3", 4),
        ("10.1.2.4", 2),
        ("2001:db8::1", 5),
        ("192.0.2.1", 1),
    ] {
        assert_eq!(
            request().from(address).limits(&remote),
            [limit],
            "{address}"
        );
    }
    assert!(request().limits(&remote).is_empty());
    assert_ne!(
        request().from("10.0.0.1").counted_under(&remote),
        request().from("10.0.0.2").counted_under(&remote)
    );
    let network = item(&format!(
        r#"{{ "limit_by_ip": "from-remote-addr", {keys} }}"#
    ));
    assert_eq!(
        request().from("10.0.0.1").counted_under(&network),
        request().from("10.0.0.2").counted_under(&network)
    );

    let claimed = item(&format!(
        r#"{{ "limit_by_per_ip": "from-header-x-forwarded-for", {keys} }}"#
    ));
    let forged = request()
        .from("192.0.2.1")
        .header("x-forwarded-for", "10.1.2.3");
    assert_eq!(forged.limits(&claimed), [1]);

    let header = item(&format!(
        r#"{{ "limit_by_per_ip": "from-header-CF-Connecting-IP", {keys} }}"#
    ));
    for (value, limit) in [
        ("10.1.2.3", 4),
        (" 10.1.2.3 , 192.0.2.7", 4),
        ("10.1.2.3:4000", 4),
        ("[2001:db8::1]:443", 5),
        ("[2001:db8::1]", 5),
        ("unknown", 1),
        ("", 1),
    ] {
        let request = request()
            .from("192.0.2.1")
            .header("cf-connecting-ip", value);
        assert_eq!(request.limits(&header), [limit], "{value}");
    }
    assert_eq!(request().from("10.1.2.3").limits(&header), [4]);
}
