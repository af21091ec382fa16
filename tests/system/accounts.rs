//! Two accounts on one installation.

use crate::installation::Installation;
use crate::patience::PATIENCE;

#[test]
fn two_accounts_cannot_see_each_other() {
    let installation = Installation::start();
    let other = installation.account("other");
    let mut script = installation.script("accounts.py");
    let mut client = installation
        .family
        .spawn("accounts.py", script.args([&other.id, &other.secret]));
    client.line("separate", PATIENCE);
    assert!(client.exit(PATIENCE).success());
}
