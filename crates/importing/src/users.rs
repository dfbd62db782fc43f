//! Users become accounts; their balances enter as transfers, each by a key of its own.

use std::collections::{HashMap, HashSet};

use domain::{AccountId, Book, Money, Timestamp, TransferKind};
use old_shops::{OldUser, Read};
use store::{Imported, NewAccount, NewImport, NewTransfer, SourceNoun, StoreError};

use crate::amount::{amount, refusal};
use crate::pass::{ERASED, ImportError, Pass, ROUBLES, row_error};
use crate::report::{End, ImportReport};

const NOUN: &str = "user";
const TWICE: &str = "its user_id is there more than once (blanks around it do not count), so none of its rows is taken: put \
    the old table right first, then import again";

/// What the generations of a pass need of its users: what the old shop has set aside for each, as far as no generation in
/// flight has used it up.
#[derive(Default)]
pub(crate) struct Holds {
    left: HashMap<String, Money>,
}

/// What the portions of a pass share.
pub(crate) struct Crowd {
    pub(crate) holds: Holds,
    /// Keys of more than one row.
    pub(crate) twice: HashSet<String>,
}

impl Crowd {
    pub(crate) fn new(twice: HashSet<String>) -> Self {
        Self { holds: Holds::default(), twice }
    }
}

impl Holds {
    /// Uses `price` up; nothing if there is not so much.
    pub(crate) fn cover(&mut self, user: &str, price: Money) -> Money {
        let Some(left) = self.left.get_mut(user) else { return Money::ZERO };
        match left.minus(price) {
            Ok(rest) if rest >= Money::ZERO && price.is_positive() => {
                *left = rest;
                price
            }
            Ok(_) | Err(_) => Money::ZERO,
        }
    }
}

/// What a user has in the old shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purse {
    /// All of it, what is set aside included.
    pub(crate) total: Money,
    /// Set aside; never above the total.
    pub(crate) held: Money,
    /// What the old shop says to have set aside beyond the total.
    pub(crate) beyond: Money,
}

/// What became of one user.
struct Outcome {
    key: String,
    end: End,
    /// What it has in the old shop.
    total: Money,
    /// What of it is here.
    entered: Money,
    /// Trouble that did not keep it out, then why it was refused.
    problems: Vec<String>,
}

impl Outcome {
    fn refused(key: String, total: Money, reason: impl Into<String>) -> Self {
        Self { key, end: End::Refused, total, entered: Money::ZERO, problems: vec![reason.into()] }
    }
}

/// Takes a portion of users over, one after the other: of two that want the same, the first has it.
pub(crate) async fn take_over(
    pass: &Pass<'_>,
    portion: Vec<Read<OldUser>>,
    crowd: &mut Crowd,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let keys: Vec<String> = portion.iter().flatten().map(|user| user.key.clone()).collect();
    let known = pass.store().find_imported(&pass.options.shop, SourceNoun::User, &keys).await?;
    let mut known: HashMap<String, Imported> = known.into_iter().map(|one| (one.key.clone(), one)).collect();
    for read in portion {
        let outcome = match read {
            Err(bad) => Outcome::refused(bad.key, Money::ZERO, bad.reason),
            Ok(user) => match purse(pass, &user)? {
                read if crowd.twice.contains(&user.key) => {
                    let total = read.map_or(Money::ZERO, |purse| purse.total);
                    Outcome::refused(user.key, total, TWICE)
                }
                Err(reason) => Outcome::refused(user.key, Money::ZERO, reason),
                Ok(purse) => {
                    if purse.held.is_positive() {
                        crowd.holds.left.insert(user.key.clone(), purse.held);
                    }
                    let known = known.remove(&user.key);
                    one(pass, user, purse, known).await?
                }
            },
        };
        tell(outcome, report);
    }
    Ok(())
}

fn tell(outcome: Outcome, report: &mut ImportReport) {
    let Outcome { key, end, total, entered, problems } = outcome;
    report.users.count(end);
    add(&mut report.money.before, total);
    add(&mut report.money.after, entered);
    add(&mut report.money.refused, total.minus(entered).unwrap_or(Money::ZERO));
    let last = problems.len().saturating_sub(1);
    for (place, reason) in problems.into_iter().enumerate() {
        report.problem(NOUN, &key, reason, end != End::Refused || place < last);
    }
}

async fn one(
    pass: &Pass<'_>,
    user: OldUser,
    purse: Purse,
    known: Option<Imported>,
) -> Result<Outcome, ImportError> {
    let now = pass.now();
    let mut problems = odd(pass, purse);
    // A debt cannot enter: no balance is below zero.
    let entering = purse.total.max(Money::ZERO);
    let before = known.as_ref().map_or(Money::ZERO, |known| known.amount);
    let ended = match known {
        // The same row counts for another sum when `--holds` is said otherwise.
        Some(known) if known.fingerprint == user.fingerprint && known.amount == entering => Ok(End::Same),
        Some(known) => change(pass, &user, &known, entering, now).await?,
        None => open(pass, &user, entering, &mut problems, now).await?,
    };
    let (end, entered) = match ended {
        Ok(end) => (end, entering),
        Err(reason) => {
            problems.push(reason);
            (End::Refused, before)
        }
    };
    Ok(Outcome { key: user.key, end, total: purse.total, entered, problems })
}

/// What a person should know of what a user has.
fn odd(pass: &Pass<'_>, purse: Purse) -> Vec<String> {
    let format = |amount| pass.currency().format(amount);
    let mut told = Vec::new();
    if purse.total < Money::ZERO {
        told.push(format!("its balance is {}; debts are not taken over", format(purse.total)));
    }
    if purse.beyond.is_positive() {
        told.push(format!(
            "{} of its hold_rub is not in its balance and is not set aside: is `--holds` right?",
            format(purse.beyond)
        ));
    }
    told
}

/// What a user has, or why it cannot be told.
fn purse(pass: &Pass<'_>, user: &OldUser) -> Result<Result<Purse, String>, ImportError> {
    if (user.balance.is_some() || user.hold.is_some()) && pass.currency().code() != ROUBLES {
        return Err(ImportError::Currency(pass.currency().code().to_owned()));
    }
    let read = |name: &str, text: &Option<String>| match text {
        None => Ok(Money::ZERO),
        Some(text) => amount(text, pass.currency()).map_err(|reason| refusal(name, text, reason)),
    };
    let balance = match (read("balance_rub", &user.balance), read("hold_rub", &user.hold)) {
        (Ok(balance), Ok(hold)) => sum(balance, hold, pass.options.holds),
        (Err(reason), _) | (_, Err(reason)) => Err(reason),
    };
    Ok(balance)
}

/// Balance and hold together, by where the hold is.
pub(crate) fn sum(balance: Money, hold: Money, holds: crate::Holds) -> Result<Purse, String> {
    if hold < Money::ZERO {
        return Err("hold_rub is below zero".to_owned());
    }
    let total = match holds {
        crate::Holds::Inside => balance,
        crate::Holds::Beside => balance.plus(hold).map_err(|error| error.to_string())?,
    };
    let covered = hold.min(total.max(Money::ZERO));
    let beyond = hold.minus(covered).map_err(|error| error.to_string())?;
    Ok(Purse { total, held: covered, beyond })
}

async fn open(
    pass: &Pass<'_>,
    user: &OldUser,
    entering: Money,
    problems: &mut Vec<String>,
    now: Timestamp,
) -> Result<Result<End, String>, ImportError> {
    let account = AccountId::generate(now, pass.chance());
    let mut import = base(pass, user, (account, entering), now);
    let mut webhook_key = [0_u8; 32];
    pass.chance().fill(&mut webhook_key);
    import.open = Some(NewAccount {
        id: account,
        external_id: Some(user.key.clone()),
        name: None,
        telegram_id: user.chat,
        webhook_key,
        demo: false,
        at: now,
    });
    import.transfers.extend(movement(pass, &import, entering, 1));
    let debts = problems.len();
    for _round in 0..3 {
        match (pass.desk.import(&import).await, &mut import.open) {
            (Err(StoreError::Taken { what: "telegram id" }), Some(account)) => {
                account.telegram_id = None;
                problems.push("its Telegram chat belongs to another account".to_owned());
            }
            // The customer is here already: whatever chat the account has, it keeps.
            (Err(StoreError::Taken { what: "external id" }), Some(_)) => {
                problems.truncate(debts);
                let Some(account) = pass.store().find_account_by_external_id(&user.key).await? else {
                    continue;
                };
                import = base(pass, user, (account.id, entering), now);
                import.transfers.extend(movement(pass, &import, entering, 1));
            }
            (Err(StoreError::Taken { what: "imported account" }), _) => {
                return Ok(Err(
                    "an account of this id was taken over from another old shop: is --name that of the first pass?"
                        .to_owned(),
                ));
            }
            (written, _) => return ended(written, End::New),
        }
    }
    Ok(Err("another import took it over at the same time".to_owned()))
}

async fn change(
    pass: &Pass<'_>,
    user: &OldUser,
    known: &Imported,
    entering: Money,
    now: Timestamp,
) -> Result<Result<End, String>, ImportError> {
    if pass.desk.is_erased(known.account).await? {
        return Ok(Err(ERASED.to_owned()));
    }
    let Ok(difference) = entering.minus(known.amount) else {
        return Ok(Err("its balance is too large".to_owned()));
    };
    if !difference.is_zero() && known.taken_over.is_positive() {
        let (was, is) = (pass.currency().format(known.amount), pass.currency().format(entering));
        return Ok(Err(format!(
            "its balance went from {was} to {is} after its generations in flight were taken over: decide what of it is \
             due, by `account adjust` (if only `--holds` was said otherwise, say it as before)"
        )));
    }
    let mut import = base(pass, user, (known.account, entering), now);
    import.known = Some(known.version);
    import.transfers.extend(movement(pass, &import, difference, known.version.saturating_add(1)));
    match pass.desk.import(&import).await {
        Err(StoreError::Short) => {
            Ok(Err("less is left of its balance here than the old shop took since the last pass".to_owned()))
        }
        other => ended(other, End::Changed),
    }
}

fn ended(written: Result<bool, StoreError>, end: End) -> Result<Result<End, String>, ImportError> {
    match written {
        Ok(true) => Ok(Ok(end)),
        Ok(false) => Ok(Err("another import took it over at the same time".to_owned())),
        Err(error) => row_error(error).map(Err),
    }
}

fn base(pass: &Pass<'_>, user: &OldUser, (account, amount): (AccountId, Money), now: Timestamp) -> NewImport {
    NewImport {
        shop: pass.options.shop.clone(),
        noun: SourceNoun::User,
        key: user.key.clone(),
        known: None,
        fingerprint: user.fingerprint,
        amount,
        account,
        open: None,
        job: None,
        write: None,
        transfers: Vec::new(),
        at: now,
    }
}

/// The movement that brings a difference in; none for nothing.
fn movement(pass: &Pass<'_>, import: &NewImport, difference: Money, version: i64) -> Option<NewTransfer> {
    let minor = difference.minor().checked_abs().filter(|minor| *minor > 0)?;
    let (from, into) = (Book::Adjustments, Book::Available);
    let (debit, credit) = if difference.is_positive() { (from, into) } else { (into, from) };
    Some(NewTransfer {
        id: pass.transfer_id(import.at),
        account: import.account,
        job: None,
        kind: TransferKind::Adjust,
        key: pass.money_key(NOUN, &import.key, &version.to_string()),
        debit,
        credit,
        amount: Money::from_minor(minor),
        reason: Some(format!("balance of the old shop {}", import.shop)),
    })
}

/// A sum of the report; one that does not fit stays where it is.
pub(crate) fn add(sum: &mut Money, amount: Money) {
    *sum = sum.plus(amount).unwrap_or(*sum);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hold_is_inside_or_beside() {
        let money = Money::from_minor;
        let inside = sum(money(100), money(30), crate::Holds::Inside).unwrap();
        assert_eq!(inside, Purse { total: money(100), held: money(30), beyond: money(0) });
        let beside = sum(money(100), money(30), crate::Holds::Beside).unwrap();
        assert_eq!(beside, Purse { total: money(130), held: money(30), beyond: money(0) });
        let beyond = sum(money(20), money(30), crate::Holds::Inside).unwrap();
        assert_eq!(beyond, Purse { total: money(20), held: money(20), beyond: money(10) });
        assert!(sum(money(1), money(-1), crate::Holds::Beside).is_err());
    }

    proptest! {
        #[test]
        fn holds_are_used_once_and_never_beyond_the_balance(
            balance in -1000_i64..1000, hold in 0_i64..1000, prices in prop::collection::vec(0_i64..400, 0..9),
            inside in any::<bool>(),
        ) {
            let at = if inside { crate::Holds::Inside } else { crate::Holds::Beside };
            let purse = sum(Money::from_minor(balance), Money::from_minor(hold), at).unwrap();
            prop_assert!(purse.held.minor() <= hold);
            prop_assert!(purse.held <= purse.total.max(Money::ZERO));
            let left = [("u".to_owned(), purse.held)].into_iter().collect();
            let mut holds = Holds { left };
            let mut used = 0;
            for price in prices {
                let covered = holds.cover("u", Money::from_minor(price)).minor();
                prop_assert!(covered == 0 || covered == price);
                used += covered;
            }
            prop_assert!(used <= purse.held.minor());
            prop_assert_eq!(holds.cover("nobody", Money::from_minor(1)), Money::ZERO);
        }
    }
}
