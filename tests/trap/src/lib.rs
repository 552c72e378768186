//! A component that traps on purpose: `/stream` streams a line every 20 ms for a minute, `/trap` traps. It shows
//! what becomes of the streams of an instance that dies. Never part of the application.
#![cfg(target_arch = "wasm32")]

use std::time::Duration;

use spillway_platform::{
    Clock as _, Headers, OutgoingBody as _, Platform as _, ResponseWriter as _,
};
use spillway_platform_spin::{ErrorCode, Request, Response, Spin};
use spin_sdk::wasip3::exports::http::handler::Guest;

struct Component;

spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let head = Spin.head(&request);
        match head.path() {
            "/trap" => {
                #[expect(clippy::panic, reason = "to trap is what it is for")]
                {
                    panic!("trapped on purpose");
                }
            }
            "/stream" => {
                let (mut writer, reader) = Spin.response_stream();
                Spin.spawn(async move {
                    for line in 0..3000 {
                        if writer
                            .write(format!("line {line}\n").into_bytes())
                            .await
                            .is_err()
                        {
                            return;
                        }
                        Spin.sleep(Duration::from_millis(20)).await;
                    }
                    writer.finish(None).await;
                });
                Spin.respond_with_stream(http::StatusCode::OK, &Headers::default(), reader)
                    .await
            }
            _ => {
                Spin.respond(
                    http::StatusCode::OK,
                    Headers::default(),
                    b"ok".to_vec().into(),
                )
                .await
            }
        }
    }
}
