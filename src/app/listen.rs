//! Addresses to listen on.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Socket, Type};

/// The address that a host and port mean.
///
/// # Errors
/// Where the host is no address and no name that resolves.
pub(super) fn address(host: &str, port: u16) -> io::Result<SocketAddr> {
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"))
}

/// Checks that an address can be listened on. Pingora would panic in a thread of its own.
///
/// # Errors
/// The system's, such as "address already in use".
pub(super) fn probe(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // As Pingora's own listener: connections in TIME_WAIT are no obstacle.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    drop(TcpListener::from(socket));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_before_the_server_starts() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = probe(taken.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
