//! A guarded call on ledgers that servers keep, beside the bare statements that it needs. The servers are started here, on
//! the same cores as the callers.

mod postgres;

use crate::row::Rows;
use anyhow::Result;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

pub(crate) fn measure(rows: &mut Rows, folder: &Path) -> Result<()> {
    // Servers are started as another user.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    postgres::measure(rows, folder)
}
