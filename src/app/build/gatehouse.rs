//! What finds out who is calling, built from the configuration, and what keeps its keys fresh.
//!
//! **Invariant:** keys that were fetched outlive a reload that does not change where they come from: a
//! provider that is down just then locks nobody out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use filters::glob::Glob;
use filters::identity::resource::{self, Resource};
use filters::identity::token::Rules;
use filters::identity::{Identity, Principal, Proof, scope};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::build::Workshop;
use crate::app::jwks::Document;
use crate::auth::api_key::{Fingerprint, Key, Keys};
use crate::auth::jwks::{Jwks, Pace, Source};
use crate::auth::jwt::{self, Verifier};
use crate::auth::throttle::Limits;
use crate::auth::{Authenticator, Methods};
use crate::config::Config;
use crate::config::model::access::{ApiKey, Auth, Jwt, OAuth, TenantIsolation};

/// What finds out who is calling, and what runs for it.
pub(in crate::app) struct Gatehouse {
    /// What requests ask.
    pub(in crate::app) auth: Arc<Authenticator>,
    basis: Basis,
    keeper: Option<Arc<Keeper>>,
}

/// All of a configuration that it is built from: where that is the same, so is it.
#[derive(PartialEq)]
struct Basis {
    auth: Auth,
    isolation: Option<TenantIsolation>,
    scopes: scope::Rules,
}

/// Keeps a provider's keys fresh.
pub(in crate::app) struct Keeper {
    url: String,
    pace: Pace,
    jwks: Arc<Jwks>,
    source: Arc<dyn Source>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Gatehouse {
    /// Builds what a configuration says, with what there is of it `before`. Nothing runs yet.
    ///
    /// # Errors
    /// Where the keys' URL cannot be used.
    pub(in crate::app) fn build(
        workshop: &Workshop,
        config: &Config,
        before: Option<&Arc<Self>>,
    ) -> anyhow::Result<Arc<Self>> {
        let basis = Basis {
            auth: config.auth.clone(),
            isolation: config.tenant_isolation.clone(),
            scopes: scopes(config),
        };
        if let Some(same) = before.filter(|before| before.basis == basis) {
            return Ok(Arc::clone(same));
        }
        let keeper = match &config.auth.jwt {
            Some(jwt) => {
                let known = before.and_then(|before| before.keeper.as_ref());
                let known = known.filter(|known| known.is_for(jwt)).map(Arc::clone);
                Some(match known {
                    Some(known) => known,
                    None => Arc::new(Keeper::new(workshop, jwt)?),
                })
            }
            None => None,
        };
        let auth = Arc::new(authenticator(&basis, keeper.as_ref()));
        Ok(Arc::new(Self {
            auth,
            basis,
            keeper,
        }))
    }

    /// Starts what runs for it, where it does not run already.
    pub(in crate::app) fn start(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.start();
        }
    }

    /// Ends what runs for it, but for what `next` goes on with.
    pub(in crate::app) async fn end(&self, next: Option<&Self>) {
        let Some(keeper) = &self.keeper else { return };
        let goes_on = next.and_then(|next| next.keeper.as_ref());
        if !goes_on.is_some_and(|next| Arc::ptr_eq(next, keeper)) {
            keeper.end().await;
        }
    }
}

impl Keeper {
    fn new(workshop: &Workshop, jwt: &Jwt) -> anyhow::Result<Self> {
        let url = jwt.jwks_url.to_string();
        let pace = pace(jwt);
        let document = Document::new(&url, Arc::clone(&workshop.transport));
        Ok(Self {
            source: Arc::new(document.context("auth.jwks_url")?),
            url,
            pace,
            jwks: Arc::new(Jwks::new(pace)),
            stop: workshop.stop.child_token(),
            task: Mutex::default(),
        })
    }

    fn is_for(&self, jwt: &Jwt) -> bool {
        self.url == jwt.jwks_url.to_string() && self.pace == pace(jwt)
    }

    fn start(&self) {
        self.task.lock().get_or_insert_with(|| {
            let jwks = Arc::clone(&self.jwks);
            tokio::spawn(jwks.run(Arc::clone(&self.source), self.stop.clone()))
        });
    }

    async fn end(&self) {
        self.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "Keeper of the identity provider's keys failed");
        }
    }
}

fn pace(jwt: &Jwt) -> Pace {
    Pace {
        refresh: jwt.refresh,
        cooldown: jwt.cooldown,
    }
}

fn authenticator(basis: &Basis, keeper: Option<&Arc<Keeper>>) -> Authenticator {
    let Basis {
        auth,
        isolation,
        scopes,
    } = basis;
    let methods = (!auth.is_off()).then(|| Methods {
        keys: keys(auth.api_keys.as_deref().unwrap_or_default()),
        jwt: auth.jwt.as_ref().zip(keeper).map(|(jwt, keeper)| {
            Verifier::new(
                verification(jwt, auth.oauth.is_some()),
                Arc::clone(&keeper.jwks),
            )
        }),
        certificates: auth.certificates.clone(),
        limits: Limits {
            failures_max: auth.throttle.failures_max,
            window_seconds: auth.throttle.window_seconds,
        },
    });
    Authenticator {
        // The authenticated tenant always wins over a header.
        tenant_header: isolation
            .as_ref()
            .filter(|_| methods.is_none())
            .map(|isolation| isolation.header.clone()),
        is_isolated: isolation.is_some(),
        resource: auth.oauth.as_ref().map(|oauth| described(oauth, scopes)),
        scopes: scopes.clone(),
        methods,
    }
}

fn keys(keys: &[ApiKey]) -> Keys {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.unwrap_or_default().as_secs();
    Keys::new(keys.iter().map(|one| {
        let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let key = Key {
            identity: Identity::new(Principal {
                client: one.client_id.as_str().into(),
                tenant: one.tenant_id.as_deref().map(Into::into),
                roles: texts(&one.roles),
                scopes: texts(&one.scopes),
                proof: Proof::ApiKey,
            }),
            expires: one.expires,
        };
        if key.is_over(now) {
            let label = one.label.as_deref().unwrap_or_default();
            tracing::warn!(client.id = %one.client_id, label, "API key has expired");
        }
        let fingerprint: Fingerprint = one.fingerprint.0;
        (fingerprint, key)
    }))
}

fn verification(jwt: &Jwt, has_resource: bool) -> jwt::Spec {
    jwt::Spec {
        rules: Rules {
            issuer: jwt.issuer.clone(),
            client_claim: jwt.client_claim.clone(),
            tenant_claim: jwt.tenant_claim.clone(),
            roles_claim: jwt.roles_claim.clone(),
        },
        is_for_all: jwt.audiences.is_empty() && !has_resource,
        audiences: jwt.audiences.clone(),
        algorithms: jwt.algorithms.clone(),
    }
}

fn described(oauth: &OAuth, scopes: &scope::Rules) -> Resource {
    let all = || scopes.all().into_iter().map(str::to_owned).collect();
    Resource::new(resource::Spec {
        base: oauth.resource.clone(),
        authorization_servers: oauth.authorization_servers.clone(),
        scopes_supported: oauth.scopes_supported.clone().unwrap_or_else(all),
        name: oauth.name.clone(),
        documentation: oauth.documentation.clone(),
    })
}

/// The scopes that are needed, by server.
pub(in crate::app) fn scopes(config: &Config) -> scope::Rules {
    let shared = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    let oauth = config.auth.oauth.as_ref();
    let everywhere = oauth.map(|oauth| oauth.required_scopes.as_slice());
    let servers = config.servers.iter().map(|server| {
        let tools = server.scopes.tools.iter();
        let needed = scope::Server {
            all: shared(&server.scopes.all),
            tools: tools
                .map(|(name, needed)| (Glob::new(name), shared(needed)))
                .collect(),
        };
        (server.id.to_string(), needed)
    });
    let servers: HashMap<_, _> = servers.collect();
    scope::Rules::new(shared(everywhere.unwrap_or_default()), servers)
}
