//! Every text that customers read, in Russian and English: one table, checked by the compiler.

use std::str::FromStr;

use domain::{Cause, CustomerStatus, TransferKind};
use http::{HeaderMap, header};

use crate::problem::Kind;

/// A language that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// Russian.
    Ru,
    /// English.
    En,
}

/// The word is neither `ru` nor `en`.
#[derive(Debug)]
pub(crate) struct UnknownLanguage;

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "ru" => Ok(Self::Ru),
            "en" => Ok(Self::En),
            _ => Err(UnknownLanguage),
        }
    }
}

impl Language {
    /// The first language of `Accept-Language` that we speak.
    pub(crate) fn of_request(headers: &HeaderMap, usual: Self) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let primary =
            |tag: &str| tag.trim().split(['-', ';']).next().unwrap_or_default().to_ascii_lowercase();
        asked.unwrap_or_default().split(',').find_map(|tag| primary(tag).parse().ok()).unwrap_or(usual)
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Ru => "ru",
            Self::En => "en",
        }
    }

    pub(crate) const fn words(self) -> &'static Words {
        match self {
            Self::Ru => &RU,
            Self::En => &EN,
        }
    }

    const fn pick(self, ru: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Ru => ru,
            Self::En => en,
        }
    }
}

/// Why a generation failed, for the one who ordered it; never the provider's words.
pub(crate) const fn failure(cause: Option<Cause>, language: Language) -> &'static str {
    let (ru, en) = match cause {
        Some(Cause::InvalidInput) => {
            ("Модель не приняла эти параметры.", "The model did not accept this input.")
        }
        Some(Cause::Moderation) => {
            ("Запрос не прошёл проверку содержания.", "The request did not pass the content check.")
        }
        Some(Cause::ModelUnavailable) => {
            ("Модель сейчас недоступна.", "The model is not available at the moment.")
        }
        Some(Cause::ProviderError) => {
            ("Модель не справилась с запросом.", "The model failed on this request.")
        }
        Some(Cause::ProviderBalance) => (
            "Сервис слишком долго не мог начать генерацию.",
            "The service could not start this generation for too long.",
        ),
        Some(Cause::NoResult) => (
            "Генерация закончилась, но результат получить не удалось.",
            "The generation ended, but its result could not be had.",
        ),
        Some(Cause::Expired) => ("Генерация заняла слишком много времени.", "The generation took too long."),
        Some(Cause::Unclear) => (
            "Не удалось узнать, началась ли генерация.",
            "It could not be learnt whether the generation had begun.",
        ),
        Some(Cause::Operator) => {
            ("Генерация остановлена службой поддержки.", "The generation was stopped by the support.")
        }
        None => ("Генерация не удалась.", "The generation failed."),
    };
    language.pick(ru, en)
}

/// The status as a person reads it.
pub(crate) const fn status(status: CustomerStatus, language: Language) -> &'static str {
    let (ru, en) = match status {
        CustomerStatus::Draft => ("черновик", "draft"),
        CustomerStatus::Queued => ("в очереди", "queued"),
        CustomerStatus::Generating => ("создаётся", "generating"),
        CustomerStatus::Success => ("готово", "ready"),
        CustomerStatus::Failed => ("не удалось", "failed"),
        CustomerStatus::Canceled => ("отменено", "canceled"),
    };
    language.pick(ru, en)
}

/// Why a button did nothing, and what to do: title and sentence. None where only the request's number helps.
pub(crate) const fn refusal(kind: Kind, language: Language) -> Option<(&'static str, &'static str)> {
    let (ru, en) = match kind {
        Kind::BalanceShort => (
            ("Не хватает денег", "Ничего не списано. Пополните баланс и нажмите ещё раз."),
            ("The balance is too low", "Nothing was taken. Top your balance up and press again."),
        ),
        Kind::WrongState => (
            ("Уже поздно", "Генерация успела измениться. Откройте её ещё раз и посмотрите, что с ней."),
            ("Too late for that", "The generation has moved on. Open it again and look where it stands."),
        ),
        Kind::DraftExpired | Kind::NotForSale => (
            ("Черновик устарел", "Ничего не списано. Закажите генерацию заново: цена могла измениться."),
            ("The draft has expired", "Nothing was taken. Order it anew: the price may have changed."),
        ),
        Kind::RateLimited => (
            ("Слишком часто", "Подождите несколько секунд и нажмите ещё раз."),
            ("Too often", "Wait a few seconds and press again."),
        ),
        Kind::TooManyOpen => (
            ("Слишком много генераций сразу", "Подождите, пока закончатся открытые, и нажмите ещё раз."),
            ("Too many generations at once", "Wait until open ones have ended and press again."),
        ),
        _ => return None,
    };
    Some(match language {
        Language::Ru => ru,
        Language::En => en,
    })
}

/// Why money moved.
pub(crate) const fn transfer(kind: TransferKind, language: Language) -> &'static str {
    let (ru, en) = match kind {
        TransferKind::Topup => ("пополнение", "top-up"),
        TransferKind::Hold => ("отложено", "set aside"),
        TransferKind::Capture => ("списано", "taken"),
        TransferKind::Release => ("возвращено", "given back"),
        TransferKind::Refund => ("возврат", "refund"),
        TransferKind::Reversal => ("отзыв пополнения", "top-up reversed"),
        TransferKind::Adjust => ("корректировка", "correction"),
    };
    language.pick(ru, en)
}

macro_rules! words {
    ($($name:ident: $ru:literal, $en:literal;)+) => {
        /// The fixed words of the pages.
        pub(crate) struct Words { $(pub(crate) $name: &'static str),+ }
        static RU: Words = Words { $($name: $ru),+ };
        static EN: Words = Words { $($name: $en),+ };
    };
}

words! {
    library: "Библиотека", "Library";
    balance: "Баланс", "Balance";
    sign_in: "Войти", "Sign in";
    sign_out: "Выйти", "Sign out";
    token: "Ключ доступа", "Access token";
    token_hint: "Начинается с kie_. Ключ выдаёт магазин.", "Begins with kie_. The shop gives it to you.";
    token_wrong: "Такого ключа нет.", "There is no such token.";
    demo_note: "Демонстрация: вы смотрите чужой аккаунт.", "Demo: you are looking at its account.";
    search: "Поиск по запросу", "Search prompts";
    find: "Найти", "Find";
    all: "Все", "All";
    image: "Картинки", "Images";
    video: "Видео", "Videos";
    audio: "Звук", "Audio";
    text: "Тексты", "Texts";
    favourites: "Избранное", "Favourites";
    older: "Показать ещё", "Show more";
    empty_title: "Здесь появятся ваши генерации", "Your generations will appear here";
    empty_text: "Закажите первую через API или бота, и страница покажет её сама.", "Order the first one over the API or the bot; this page shows it by itself.";
    nothing_found: "Ничего не нашлось", "Nothing was found";
    show_all: "Показать все", "Show all";
    late: "Дольше обычного, но мы ждём результат", "Longer than usual; we keep waiting for it";
    gift: "Подарок: деньги уже возвращены", "A gift: the money had been given back";
    money_back: "Деньги возвращены на баланс.", "The money is back on your balance.";
    no_money: "Деньги не списывались.", "No money was taken.";
    output_lost: "Этот файл получить не удалось", "This file could not be had";
    output_pending: "Сохраняем файл", "Storing the file";
    file_removed: "Файл удалён", "The file was removed";
    download: "Скачать", "Download";
    open: "Открыть", "Open";
    check_now: "Проверить сейчас", "Check now";
    cancel: "Отменить", "Cancel";
    confirm: "Подтвердить и оплатить", "Confirm and pay";
    redeliver: "Отправить ещё раз", "Deliver again";
    add_favourite: "В избранное", "Add to favourites";
    drop_favourite: "Убрать из избранного", "Remove from favourites";
    hide: "Удалить", "Delete";
    restore: "Вернуть", "Restore";
    hidden_note: "Удалено из библиотеки. Файлы исчезнут через 30 дней.", "Deleted from the library. The files go after 30 days.";
    input: "Параметры", "Input";
    price: "Цена", "Price";
    free: "бесплатно", "free";
    receipt: "Чек", "Receipt";
    deliveries: "Доставка", "Deliveries";
    delivered: "доставлено", "delivered";
    delivery_pending: "доставляется", "on its way";
    delivery_dead: "не доставлено", "not delivered";
    ordered_at: "Заказано", "Ordered";
    available: "Доступно", "Available";
    held: "Отложено", "Set aside";
    transfers: "Движения", "Transfers";
    no_transfers: "Движений пока нет", "No transfers yet";
    when: "Когда", "When";
    what: "Что", "What";
    amount: "Сумма", "Amount";
    not_found: "Такой страницы нет", "There is no such page";
    not_found_text: "Возможно, генерация принадлежит другому аккаунту.", "The generation may belong to another account.";
    failed_title: "Что-то пошло не так", "Something went wrong";
    failed_text: "Попробуйте ещё раз. Номер запроса:", "Please try again. Request number:";
    back: "Назад в библиотеку", "Back to the library";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_we_speak_is_taken() {
        let of = |asked: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, http::HeaderValue::from_static(asked));
            Language::of_request(&headers, Language::Ru)
        };
        assert_eq!(of("de, en-GB;q=0.8, ru"), Language::En);
        assert_eq!(of("ru-RU,ru;q=0.9,en"), Language::Ru);
        assert_eq!(of("de"), Language::Ru);
        assert_eq!(of(""), Language::Ru);
    }
}
