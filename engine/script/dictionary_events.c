// dictionary_events.c - event types as chapter 3 of the manual lists them; of severities and sources it gives
// only those in its samples.
#include "script/dictionary.h"

const struct dictionary_entry dictionary_event_types[] = {
    {0, "Generic", "Anything that has no type of its own; the description says what"},
    {1, "Update location", "The SIM registered with a network for calls and SMS"},
    {2, "Update GPRS location", "The SIM registered with a network for data"},
    {3, "Create PDP Context", "A data connection was opened"},
    {4, "Update PDP Context", "A data connection changed, its location or radio access for example"},
    {5, "Delete PDP Context", "A data connection was closed"},
    {6, "User authentication failed", "A user's login was refused"},
    {7, "Application authentication failed", "An application's login was refused"},
    {8, "SIM activation", "A SIM was activated"},
    {9, "SIM suspension", "A SIM was suspended"},
    {10, "SIM deletion", "A SIM was deleted"},
    {11, "Endpoint blocked", "An endpoint may not use the network any more, at a limit for example"},
    {12, "Organisation blocked", "All endpoints of an organisation may not use the network any more"},
    {13, "Support Access", "The platform's support looked into the account"},
    {14, "Multi-factor Authentication", "A user's second factor was used or changed"},
    {15, "SMS API Callback", "The answer of a callback for an SMS"},
    {0},
};

const struct dictionary_entry dictionary_severities[] = {{0, "Info", NULL}, {1, "Warn", NULL}, {0}};

const struct dictionary_entry dictionary_sources[] = {{0, "Network", NULL}, {2, "API", NULL}, {0}};
