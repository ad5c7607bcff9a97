//! The resolver that all look-ups share.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::config::settings::Dns;

#[derive(Debug, thiserror::Error)]
#[error("no look-ups in the DNS can be made: {0}")]
pub struct ResolverError(#[from] NetError);

/// A name server is asked again after so long: an answer on its way may be lost.
const ATTEMPT: Duration = Duration::from_secs(2);
/// An owner that says a year gets a day, so that what was poisoned or mended is not believed for ever.
const LONGEST_KEPT: Duration = Duration::from_secs(86_400);
/// What is not there is believed not to be there for so long at the most: a council mends its SPF record and tries again.
const ABSENCE_KEPT: Duration = Duration::from_secs(300);

/// A resolver by the settings: their servers, or this machine's.
pub fn resolver(settings: &Dns) -> Result<TokioResolver, ResolverError> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = if settings.servers.is_empty() {
        TokioResolver::builder(provider)?
    } else {
        TokioResolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), servers(&settings.servers)), provider)
    };
    let options = builder.options_mut();
    options.timeout = ATTEMPT.min(settings.timeout);
    options.attempts = 2;
    options.cache_size = settings.cache;
    options.edns0 = true;
    // Names in mail are whole names of the DNS: neither this machine's file of hosts nor its search list says anything about them.
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
    options.positive_max_ttl = Some(LONGEST_KEPT);
    options.negative_max_ttl = Some(ABSENCE_KEPT);
    Ok(builder.build()?)
}

fn servers(addresses: &[SocketAddr]) -> Vec<NameServerConfig> {
    // One configuration for each address: hickory tells its servers apart by address alone.
    let mut ports: HashMap<IpAddr, Vec<ConnectionConfig>> = HashMap::new();
    let mut order = Vec::new();
    for address in addresses {
        let connections = ports.entry(address.ip()).or_insert_with(|| {
            order.push(address.ip());
            Vec::new()
        });
        for mut connection in [ConnectionConfig::udp(), ConnectionConfig::tcp()] {
            connection.port = address.port();
            connections.push(connection);
        }
    }
    order.into_iter().filter_map(|ip| Some(NameServerConfig::new(ip, true, ports.remove(&ip)?))).collect()
}
