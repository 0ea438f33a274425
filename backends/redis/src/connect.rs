use std::{fmt, fs, path::Path, sync::Arc};

use cache_api::Result;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates, TlsMode,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterClientBuilder},
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

use crate::{
    RedisStorageBuilder,
    channel::Channel,
    error::{config, failed},
    link::{Cluster, Link, Shared},
    sentinel::Sentinel,
};

/// What a builder is to connect to.
#[derive(Clone)]
pub(crate) enum Target {
    Unset,
    Given(Arc<dyn Link>),
    Client(Box<Client>),
    Cluster(Box<ClusterClient>),
    Server(Server),
}

/// What connecting brings.
pub(crate) struct Way {
    pub(crate) link: Arc<dyn Link>,
    pub(crate) channel: Option<Arc<dyn Channel>>,
}

/// What a URL names.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    /// One where there is one server; none for a socket.
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) tls: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Single,
    Socket(String),
    Cluster,
    Sentinel { master: String, username: Option<String>, password: Option<String> },
}

impl fmt::Display for Server {
    /// Neither user name nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let hosts: Vec<_> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let hosts = hosts.join(",");
        match &self.kind {
            Kind::Single => write!(f, "redis{tls}://{hosts}/{}", self.database),
            Kind::Socket(path) => write!(f, "redis+unix://{path}"),
            Kind::Cluster => write!(f, "redis{tls}-cluster://{hosts}"),
            Kind::Sentinel { master, .. } => {
                write!(f, "redis{tls}-sentinel://{hosts}/{master}/{}", self.database)
            }
        }
    }
}

impl Server {
    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        let host = host.to_owned();
        if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn addresses(&self) -> Vec<ConnectionAddr> {
        match &self.kind {
            Kind::Socket(path) => vec![ConnectionAddr::Unix(path.into())],
            _ => self.hosts.iter().map(|(host, port)| self.address(host, *port)).collect(),
        }
    }

    fn settings(&self) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default().set_db(self.database);
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        settings
    }
}

/// Where nothing else in the process chose who does the cryptography of TLS, it is aws-lc: rustls cannot choose
/// when another crate brought a second one along.
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster: that is as well.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

impl RedisStorageBuilder {
    pub(crate) async fn server(&self, server: &Server) -> Result<Way> {
        if server.tls {
            choose_cryptography();
        } else if self.tls.ca.is_some() || self.tls.identity.is_some() {
            return Err(config("certificates are given, but no TLS: write rediss:// in place of redis://"));
        }
        let invalid = |cause| failed("connect", cause);
        match &server.kind {
            Kind::Single | Kind::Socket(_) => {
                let address = server.addresses().pop().ok_or_else(|| config("the URL names no host"))?;
                let info = address.into_connection_info().map_err(invalid)?;
                let info = info.set_redis_settings(server.settings());
                let client = match self.certificates()? {
                    Some(certificates) => Client::build_with_tls(info, certificates),
                    None => Client::open(info),
                };
                self.manage(client.map_err(invalid)?).await
            }
            Kind::Cluster => {
                let mut nodes = Vec::with_capacity(server.hosts.len());
                for address in server.addresses() {
                    let info = address.into_connection_info().map_err(invalid)?;
                    nodes.push(info.set_redis_settings(server.settings()));
                }
                let certificates = self.certificates()?;
                let build = |protocol| {
                    let builder = ClusterClientBuilder::new(nodes.iter().cloned())
                        .connection_timeout(self.connect_timeout)
                        .response_timeout(self.timeout)
                        .overall_response_timeout(Some(self.timeout.saturating_mul(2)))
                        .use_protocol(protocol);
                    match certificates.clone() {
                        Some(certificates) => builder.certs(certificates),
                        None => builder,
                    }
                    .build()
                    .map_err(invalid)
                };
                Ok(self.cluster(build(ProtocolVersion::RESP2)?, build(ProtocolVersion::RESP3)?))
            }
            Kind::Sentinel { master, username, password } => {
                let new = SentinelClientBuilder::new(server.addresses(), master, SentinelServerType::Master);
                let mut builder = new.map_err(invalid)?.set_client_to_redis_db(server.database);
                if let Some(username) = &server.username {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = &server.password {
                    builder = builder.set_client_to_redis_password(password);
                }
                if let Some(username) = username {
                    builder = builder.set_client_to_sentinel_username(username);
                }
                if let Some(password) = password {
                    builder = builder.set_client_to_sentinel_password(password);
                }
                if server.tls {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure);
                }
                if let Some(certificates) = self.certificates()? {
                    builder = builder
                        .set_client_to_redis_certificates(certificates.clone())
                        .set_client_to_sentinel_certificates(certificates);
                }
                let timeouts = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(self.connect_timeout))
                    .set_response_timeout(Some(self.timeout));
                let sentinel = Arc::new(Sentinel::new(builder.build().map_err(invalid)?, timeouts));
                Ok(Way { link: Arc::<Sentinel>::clone(&sentinel), channel: Some(sentinel) })
            }
        }
    }

    /// One connection, made anew when it breaks.
    pub(crate) async fn manage(&self, client: Client) -> Result<Way> {
        let channel: Arc<dyn Channel> = Arc::new(client.clone());
        // An operation does not wait for many attempts: it fails, and the next tries again.
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.timeout));
        let manager = if self.lazy {
            ConnectionManager::new_lazy_with_config(client, settings)
        } else {
            ConnectionManager::new_with_config(client, settings).await
        };
        let link = Arc::new(Shared(manager.map_err(|cause| failed("connect", cause))?));
        Ok(Way { link, channel: Some(channel) })
    }

    /// One client to work with, and one to listen by.
    pub(crate) fn cluster(&self, client: ClusterClient, listener: ClusterClient) -> Way {
        let link = Arc::new(Cluster::new(client, self.connect_timeout.saturating_mul(2), self.timeout));
        Way { link, channel: Some(Arc::new(listener)) }
    }

    fn certificates(&self) -> Result<Option<TlsCertificates>> {
        if self.tls.ca.is_none() && self.tls.identity.is_none() {
            return Ok(None);
        }
        let root_cert = self.tls.ca.as_deref().map(read).transpose()?;
        let identity = self.tls.identity.as_ref().map(|(certificate, key)| -> Result<_> {
            Ok(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        });
        Ok(Some(TlsCertificates { client_tls: identity.transpose()?, root_cert }))
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|cause| config(format!("{} cannot be read", file.display())).with_source(cause))
}
