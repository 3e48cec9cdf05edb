// The language of messages.
#pragma once

namespace aira {

/// Portuguese where $AIRA_LANG, else the config file's "language", else the locale ($LC_ALL,
/// $LC_MESSAGES, $LANG and $LANGUAGE, as gettext reads them) asks for it, else English. An
/// $AIRA_LANG that is neither is told on stderr.
void choose_language();

/// Whether this program was built with its messages in Portuguese.
bool speaks_portuguese();

}  // namespace aira
