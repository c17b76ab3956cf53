#include "client/slabctl/completion.h"

#include <string.h>

#include "client/slabctl/texts.h"
#include "client/slabctl/values.h"

enum place completion_place(const struct verb *verb, unsigned number)
{
	const char *word = verb->argument;

	for (; number && *word; number--) {
		word += strcspn(word, " ");
		word += strspn(word, " ");
	}
	if (!*word)
		return PLACE_NONE;
	if (strncmp(word, "KEY=", 4) == 0)
		return PLACE_SETTING;
	if (strncmp(word, "PID", 3) == 0)
		return PLACE_CLIENT;
	/* a cache that is to be made has no name yet */
	if (strstr(word, "NAME") && !(verb->takes & TAKES_CREATE))
		return PLACE_CACHE;
	return PLACE_OTHER;
}

void completion_print(const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		completion_bash(stdout);
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh(stdout);
	else if (strcmp(shell, "fish") == 0)
		completion_fish(stdout);
	else
		usage(TEXT_NO_SHELL, shell);
}
