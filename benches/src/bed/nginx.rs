//! nginx as a second baseline: the cheapest well-known reverse proxy.

use std::path::{Path, PathBuf};

/// nginx on the `PATH`, or where distributions put it.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("nginx"))
        .find(|program| program.is_file())
}

/// A configuration that forwards `port` to `stub_port` with keep-alive on both sides, without
/// buffering, and in one process if one thread is enough (so that its CPU time is simple to read).
pub(crate) fn config(at: &Path, port: u16, stub_port: u16, threads: usize) -> String {
    let at = at.display();
    let workers = if threads == 1 {
        "master_process off;".to_owned()
    } else {
        format!("worker_processes {threads};")
    };
    format!(
        r#"daemon off;
{workers}
pid "{at}/nginx.pid";
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path "{at}/nginx-body";
    proxy_temp_path "{at}/nginx-proxy";
    fastcgi_temp_path "{at}/nginx-fastcgi";
    uwsgi_temp_path "{at}/nginx-uwsgi";
    scgi_temp_path "{at}/nginx-scgi";
    keepalive_requests 1000000000;
    upstream stub {{
        server 127.0.0.1:{stub_port};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://stub;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_read_timeout 1h;
        }}
    }}
}}
"#
    )
}
