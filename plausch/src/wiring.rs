//! Settings in, all parts of a role started and joined by links out; returns when everything has ended.

use axum::Router;
use service::{Effective, Health, Metrics, Shutdown, StartError, listen};

use crate::front::Front;
use crate::options::{Role, Settings};
use crate::{admin, greeting, serve};

/// Starts what the role needs and stays until told to end. `Ok(true)` is an end as asked.
pub(crate) async fn run(role: Role, settings: Settings, effective: &Effective) -> Result<bool, StartError> {
    let mut shutdown =
        Shutdown::new().map_err(|e| StartError::Part { part: "signal handling", reason: e.to_string() })?;
    // The ports first: a taken one must end the start before any part has begun.
    let http = listen::tcp("http.listen", settings.http).await?;
    let admin_socket = listen::tcp("admin.listen", settings.admin).await?;
    let (health, metrics) = (Health::new(), Metrics::new());
    let (front, private) = (Router::new(), Router::new());
    let router = match role {
        Role::AllInOne => {
            Front::new(settings.web.clone(), settings.domains.clone(), settings.client.clone()).router(front)
        }
        _ => front,
    };
    shutdown.spawn("web front", serve::http(http, router, shutdown.watch()));
    shutdown
        .spawn("admin", serve::http(admin_socket, admin::router(health, metrics, private), shutdown.watch()));
    println!("{}", greeting::text(role, &settings, effective));
    Ok(shutdown.wait().await)
}
