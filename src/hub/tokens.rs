//! Where tokens are kept: in the system's keyring or in memory. Never in a file of ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::{Secret, TokenPlace};

use crate::environment::Environment;
use crate::hubs::Spec;

/// What our entries in a keyring are called.
const SERVICE: &str = "emberwright";

/// A store of secrets by name. Errors are words for a person and hold no secret.
pub trait SecretStore: Send + Sync {
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, name: &str) -> Result<Option<Secret>, String>;
    /// # Errors
    /// When the store takes nothing.
    fn set(&self, name: &str, secret: &Secret) -> Result<(), String>;
    /// # Errors
    /// When the store cannot be changed. Nothing to forget is no error.
    fn forget(&self, name: &str) -> Result<(), String>;
}

/// The system's own: Secret Service, Keychain, or Credential Manager.
#[derive(Debug)]
pub struct SystemKeyring;

impl SystemKeyring {
    fn entry(name: &str) -> Result<keyring::Entry, String> {
        keyring::Entry::new(SERVICE, name).map_err(|err| match keyring::Entry::store_status() {
            Err(cause) => cause.to_string(),
            Ok(()) => err.to_string(),
        })
    }
}

impl SecretStore for SystemKeyring {
    fn get(&self, name: &str) -> Result<Option<Secret>, String> {
        match Self::entry(name)?.get_password() {
            Ok(token) => Ok(Some(Secret::new(token))),
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(err) => Err(told(&err)),
        }
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), String> {
        Self::entry(name)?.set_password(secret.reveal()).map_err(|err| told(&err))
    }

    fn forget(&self, name: &str) -> Result<(), String> {
        match Self::entry(name)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(err) => Err(told(&err)),
        }
    }
}

/// The words of a keyring's error; one kind of error holds the secret itself.
fn told(err: &keyring::Error) -> String {
    match err {
        keyring::Error::BadEncoding(_) | keyring::Error::BadDataFormat(..) => "not a text".to_owned(),
        err => err.to_string(),
    }
}

/// Forgets everything when it goes: for tests, and for those who want no keyring.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, Secret>>);

impl MemoryStore {
    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretStore for MemoryStore {
    fn get(&self, name: &str) -> Result<Option<Secret>, String> {
        Ok(self.map().get(name).cloned())
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), String> {
        self.map().insert(name.to_owned(), secret.clone());
        Ok(())
    }

    fn forget(&self, name: &str) -> Result<(), String> {
        self.map().remove(name);
        Ok(())
    }
}

/// Tokens of all hubs.
#[derive(Clone)]
pub struct Tokens {
    environment: Environment,
    keyring: Arc<dyn SecretStore>,
    entered: Arc<MemoryStore>,
    /// What the keyring said, so that it is asked once: it may ask the user.
    looked: Arc<Mutex<BTreeMap<String, Option<Secret>>>>,
}

impl Tokens {
    pub fn new(environment: Environment, keyring: Arc<dyn SecretStore>) -> Self {
        Self { environment, keyring, entered: Arc::default(), looked: Arc::default() }
    }

    /// The token for a hub at an address: entered in this session, of the environment, of the keyring, and last what
    /// the hub's own tool has stored. One that was entered for an address goes to no other one. May wait for the
    /// keyring.
    pub(crate) fn find(&self, spec: &Spec, endpoint: &str) -> (Option<Secret>, TokenPlace) {
        let name = name_of(spec, endpoint);
        if let Ok(Some(token)) = self.entered.get(&name) {
            return (Some(token), TokenPlace::Memory);
        }
        if let Some(token) = spec.token_variables.iter().find_map(|name| self.environment.secret(name)) {
            return (Some(token), TokenPlace::Environment);
        }
        if let Some(token) = self.in_keyring(&name) {
            return (Some(token), TokenPlace::Keyring);
        }
        match (spec.token_file)(&self.environment) {
            Some(token) => (Some(token), TokenPlace::File),
            None => (None, TokenPlace::None),
        }
    }

    fn in_keyring(&self, name: &str) -> Option<Secret> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = looked.get(name) {
            return known.clone();
        }
        let found = self.keyring.get(name).unwrap_or_else(|err| {
            tracing::debug!("no keyring: {err}");
            None
        });
        looked.insert(name.to_owned(), found.clone());
        found
    }

    /// Keeps a token: in the keyring if asked to, and says what the keyring said if it would not. It serves at once in
    /// either case.
    pub(crate) fn keep(
        &self,
        spec: &Spec,
        endpoint: &str,
        token: &Secret,
        keep: bool,
    ) -> Result<TokenPlace, String> {
        let name = name_of(spec, endpoint);
        if keep {
            match self.keyring.set(&name, token) {
                Ok(()) => {
                    self.entered.forget(&name)?;
                    self.remember(name, Some(token.clone()));
                    return Ok(TokenPlace::Keyring);
                }
                Err(err) => {
                    self.entered.set(&name, token)?;
                    return Err(err);
                }
            }
        }
        self.entered.set(&name, token)?;
        Ok(TokenPlace::Memory)
    }

    /// Forgets what was entered and what the keyring has.
    pub(crate) fn forget(&self, spec: &Spec, endpoint: &str) -> Result<(), String> {
        let name = name_of(spec, endpoint);
        self.entered.forget(&name)?;
        let had = self.in_keyring(&name).is_some();
        self.remember(name.clone(), None);
        if had { self.keyring.forget(&name) } else { Ok(()) }
    }

    fn remember(&self, name: String, token: Option<Secret>) {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).insert(name, token);
    }
}

/// One entry a hub and address.
fn name_of(spec: &Spec, endpoint: &str) -> String {
    format!("{} {}", spec.id, endpoint.trim_end_matches('/'))
}
