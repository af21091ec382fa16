//! `warren admin master-key`: replacing the key that secrets in the database are sealed under.

use super::print;
use crate::{
    db,
    model::access_key::AccessKey,
    roles::{Error, Installation, installation::AUTHORITY_PURPOSE},
    secrets::broker_purpose,
};

/// Seals every secret anew that is not sealed under the key in force, in one transaction. Prints
/// how many there were.
pub async fn reseal(installation: &Installation) -> Result<(), Error> {
    let key = &installation.master_key;
    let mut tx = db::begin(&installation.pool).await?;
    let (mut resealed, mut kept) = (0, 0);
    for (id, sealed) in db::access_key_secrets(&mut tx).await? {
        match key.reseal(&AccessKey::purpose(&id), &sealed)? {
            Some(anew) => {
                db::access_key_reseal(&mut tx, &id, &anew).await?;
                resealed += 1;
            }
            None => kept += 1,
        }
    }
    for (id, sealed) in db::broker_secrets(&mut tx).await? {
        match key.reseal(&broker_purpose(id), &sealed)? {
            Some(anew) => {
                db::broker_secret_reseal(&mut tx, id, &anew).await?;
                resealed += 1;
            }
            None => kept += 1,
        }
    }
    if let Some(stored) = db::certificate_authority_fetch(&mut tx).await? {
        match key.reseal(AUTHORITY_PURPOSE, &stored.key_sealed)? {
            Some(anew) => {
                db::certificate_authority_reseal(&mut tx, &anew).await?;
                resealed += 1;
            }
            None => kept += 1,
        }
    }
    tx.commit().await.map_err(db::Error::from)?;
    print(&format!("{resealed} sealed anew, {kept} were already"))
}
