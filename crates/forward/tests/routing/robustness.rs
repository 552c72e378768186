//! Whatever a client sends: it is routed or refused.

use proptest::prelude::*;
use spillway_forward::{ForwardedHeaders, PeerTrust, Router};

use crate::{api, request};

proptest! {
    #[test]
    fn any_request_is_routed_or_refused(path in "/[ -~]{0,60}", host in "[ -~]{0,30}", base in "(/[a-z]{1,3}){0,2}") {
        let router = Router::new(&[api("a", &["*.x"], "/"), api("b", &[], &base)]).unwrap();
        let asked = request(&host, &path, &[("x-forwarded-for", host.as_str())]);
        if let Ok(found) = router.route(&asked, &host) {
            prop_assert!(found.path_and_query.starts_with('/'));
            // A base path written in another way is cut off what was understood, not what was sent.
            if found.stripped.is_none() || !path.contains(['%', '/']) {
                prop_assert!(path.ends_with(found.path_and_query.trim_start_matches('/')));
            }
        }
        let _ = ForwardedHeaders::of(&asked, &PeerTrust::default());
    }
}
