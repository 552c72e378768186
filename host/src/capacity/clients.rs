//! How many connections one client address may hold.
//!
//! An IPv6 client is its /64: whoever has one address there has all of them (RFC 6177). Trusted proxies stand for many
//! clients and are not counted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ipnet::IpNet;

/// The connections of each client.
#[derive(Debug)]
pub struct Clients {
    limit: Option<usize>,
    trusted: RwLock<Vec<IpNet>>,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    clients: Arc<Clients>,
    /// `None`: not counted.
    client: Option<IpAddr>,
}

impl Clients {
    /// At most `limit` connections a client, if given, but for those of `trusted`.
    pub fn new(limit: Option<usize>, trusted: Vec<IpNet>) -> Self {
        Self {
            limit,
            trusted: RwLock::new(trusted),
            held: Mutex::default(),
        }
    }

    /// How many connections one client may hold.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// From now on these are trusted.
    pub fn trust(&self, proxies: Vec<IpNet>) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = proxies;
    }

    /// Whether this address is a proxy's that may speak for many.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        trusted.iter().any(|net| net.contains(&address))
    }

    /// A place for one more connection; `None` where the client has all that it may.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let client = (!self.trusts(address))
            .then(|| client_of(address))
            .zip(self.limit);
        if let Some((client, limit)) = client {
            let mut held = self.lock();
            let count = held.entry(client).or_default();
            if *count >= limit {
                return None;
            }
            *count = count.saturating_add(1);
        }
        Some(Place {
            clients: Arc::clone(self),
            client: client.map(|(client, _)| client),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else {
            return;
        };
        let mut held = self.clients.lock();
        if let Some(count) = held.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&client);
            }
        }
    }
}

fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_gets_its_share_and_no_more() {
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let clients = Arc::new(Clients::new(Some(2), trusted));
        let enter = |text: &str| clients.enter(address(text));
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        let proxies: Vec<_> = (0..5).map(|_| enter("10.1.2.3")).collect();
        assert!(proxies.iter().all(Option::is_some));
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let clients = Arc::new(Clients::new(Some(1), Vec::new()));
        let _one = clients.enter(address("2001:db8::1")).unwrap();
        assert!(clients.enter(address("2001:db8::ffff:1")).is_none());
        assert!(clients.enter(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn who_left_is_forgotten() {
        let clients = Arc::new(Clients::new(Some(1), Vec::new()));
        drop(clients.enter(address("192.0.2.1")));
        assert!(clients.lock().is_empty());
        let unlimited = Arc::new(Clients::new(None, Vec::new()));
        let all: Vec<_> = (0..100)
            .map(|_| unlimited.enter(address("192.0.2.1")))
            .collect();
        assert!(all.iter().all(Option::is_some));
    }
}
