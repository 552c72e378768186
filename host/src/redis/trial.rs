//! Trying a Redis out: whether the gateway could count there, and how far away it is.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, ServerErrorKind, cmd};
use spillway_platform::{Admission, Charge, LIMIT_KEY_PREFIX, LeaseName, Mode};
use spillway_state::{
    LEASE_RELEASE_V1, LIMIT_CHARGE_V5, explain_redis_error, lease_release_arguments,
    limit_charge_arguments, script_sha1,
};

use super::connect::client;

/// How long opening the connection, and each answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the way is measured; the shortest counts.
const MEASUREMENTS: u32 = 5;

/// Does what the gateway does with a limit (its script, by its digest, and a place given up again), under keys of its
/// own. Gives the shortest time that an answer took.
///
/// # Errors
/// What keeps the gateway from counting, in an operator's words. No password stands in it.
pub async fn try_out(address: &str) -> Result<Duration, String> {
    let client = client(address, true).map_err(|_| {
        "`state.redis` is no address of a Redis: write redis://[user:password@]host[:port][/database], rediss:// for TLS"
            .to_owned()
    })?;
    let patience = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&patience)
        .await
        .map_err(|error| explained(&error))?;
    count_once(&mut connection)
        .await
        .map_err(|error| explained(&error))?;
    let mut distance = PATIENCE;
    for _ in 0..MEASUREMENTS {
        let began = Instant::now();
        cmd("EVAL")
            .arg(&["return 1", "0"])
            .exec_async(&mut connection)
            .await
            .map_err(|error| explained(&error))?;
        distance = distance.min(began.elapsed());
    }
    Ok(distance)
}

async fn count_once(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let count = Charge {
        key: format!("{LIMIT_KEY_PREFIX}probe"),
        cost: 1,
        limit: u64::from(u32::MAX),
        mode: Mode::Count {
            window_ms: 1000,
            cost_when_new: 0,
        },
        dry_run: false,
    };
    let in_flight = Charge {
        key: format!("{LIMIT_KEY_PREFIX}probe:under_way"),
        mode: Mode::InFlight,
        ..count.clone()
    };
    let lease = LeaseName("check".to_owned());
    let asked = Admission {
        charges: &[count, in_flight.clone()],
        lease: &lease,
        new_values: None,
    };
    let arguments = limit_charge_arguments(asked, None);
    let counted = cmd("EVALSHA")
        .arg(script_sha1(LIMIT_CHARGE_V5))
        .arg(&arguments)
        .exec_async(connection)
        .await;
    match counted {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            cmd("EVAL")
                .arg(LIMIT_CHARGE_V5)
                .arg(&arguments)
                .exec_async(connection)
                .await?;
        }
        other => other?,
    }
    cmd("EVAL")
        .arg(LEASE_RELEASE_V1)
        .arg(lease_release_arguments(&[in_flight], &lease))
        .exec_async(connection)
        .await
}

/// With the code that Redis answered: the library has names of its own for some.
fn explained(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    explain_redis_error(&text)
}
