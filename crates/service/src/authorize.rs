//! Who may do what, as pure decisions. Each is made before any storage call and before signing.

use object_store_models::UserId;
use object_store_repo::Owner;

use crate::actor::Actor;
use crate::error::{ObjectStoreError, Result};
use crate::mutants::{self, Mutant};

/// Whose the new media will be.
pub(crate) fn owner_of_new(actor: Actor, wanted: Option<UserId>) -> Result<Option<UserId>> {
    match (actor, wanted) {
        (Actor::System, owner) => Ok(owner),
        (Actor::Anonymous, None) => Ok(None),
        (Actor::User(user), None) => Ok(Some(user)),
        (Actor::User(user), Some(owner)) if user == owner => Ok(Some(user)),
        (Actor::User(_) | Actor::Anonymous, Some(_)) => Err(ObjectStoreError::Forbidden),
    }
}

/// Whether `actor` may read media of `owner`. Ownerless media can be read by anyone who has its id.
pub(crate) fn read(actor: Actor, owner: Option<UserId>) -> Result<()> {
    match (actor, owner) {
        (Actor::System, _) | (_, None) => Ok(()),
        (Actor::User(user), Some(owner)) if user == owner => Ok(()),
        _ if mutants::is(Mutant::ReadsForeignMedia) => Ok(()),
        (Actor::User(_) | Actor::Anonymous, Some(_)) => Err(ObjectStoreError::Forbidden),
    }
}

/// Whether `actor` may delete media of `owner`. Nobody's media is not everybody's: only the system deletes it.
pub(crate) fn delete(actor: Actor, owner: Option<UserId>) -> Result<()> {
    match (actor, owner) {
        (Actor::System, _) => Ok(()),
        (Actor::User(user), Some(owner)) if user == owner => Ok(()),
        (Actor::User(_) | Actor::Anonymous, _) => Err(ObjectStoreError::Forbidden),
    }
}

/// Whether `actor` may complete or cancel a direct upload of `owner`. Nobody's upload is finished by whoever began it,
/// who is whoever has its id.
pub(crate) fn finish_upload(actor: Actor, owner: Option<UserId>) -> Result<()> {
    if mutants::is(Mutant::FinishesForeignUploads) { Ok(()) } else { read(actor, owner) }
}

/// Whether `actor` may list the media of `owner`.
pub(crate) fn list(actor: Actor, owner: Owner) -> Result<()> {
    match (actor, owner) {
        (Actor::System, _) => Ok(()),
        (Actor::User(user), Owner::User(owner)) if user == owner => Ok(()),
        _ if mutants::is(Mutant::ListsForeignMedia) => Ok(()),
        (Actor::User(_) | Actor::Anonymous, _) => Err(ObjectStoreError::Forbidden),
    }
}

#[cfg(test)]
mod tests {
    use object_store_models::UserId;
    use object_store_repo::Owner;
    use uuid::Uuid;

    use super::{delete, finish_upload, list, owner_of_new, read};
    use crate::actor::Actor::{Anonymous, System, User};

    fn ann() -> UserId {
        UserId::from(Uuid::from_u128(1))
    }

    fn ben() -> UserId {
        UserId::from(Uuid::from_u128(2))
    }

    #[test]
    fn a_user_creates_only_for_themselves() {
        assert_eq!(owner_of_new(User(ann()), None).unwrap(), Some(ann()));
        assert_eq!(owner_of_new(User(ann()), Some(ann())).unwrap(), Some(ann()));
        assert!(owner_of_new(User(ann()), Some(ben())).is_err());
        assert!(owner_of_new(Anonymous, Some(ben())).is_err());
        assert_eq!(owner_of_new(Anonymous, None).unwrap(), None);
        assert_eq!(owner_of_new(System, Some(ben())).unwrap(), Some(ben()));
        assert_eq!(owner_of_new(System, None).unwrap(), None);
    }

    #[test]
    fn foreign_media_is_out_of_reach() {
        for decide in [read, delete, finish_upload] {
            assert!(decide(User(ann()), Some(ann())).is_ok());
            assert!(decide(System, Some(ann())).is_ok());
            assert!(decide(User(ben()), Some(ann())).is_err());
            assert!(decide(Anonymous, Some(ann())).is_err());
        }
    }

    #[test]
    fn ownerless_media_is_read_by_all_and_deleted_by_the_system() {
        for actor in [User(ann()), Anonymous, System] {
            assert!(read(actor, None).is_ok());
            assert!(finish_upload(actor, None).is_ok());
        }
        assert!(delete(User(ann()), None).is_err());
        assert!(delete(Anonymous, None).is_err());
        assert!(delete(System, None).is_ok());
    }

    #[test]
    fn only_the_system_lists_what_is_not_its_own() {
        assert!(list(User(ann()), Owner::User(ann())).is_ok());
        for owner in [Owner::User(ben()), Owner::Nobody, Owner::Anyone] {
            assert!(list(User(ann()), owner).is_err());
            assert!(list(Anonymous, owner).is_err());
            assert!(list(System, owner).is_ok());
        }
    }
}
