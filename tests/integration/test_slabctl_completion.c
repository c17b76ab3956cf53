/* What the shells complete: scripts that parse, every verb and option in them, caches by name.  A shell
 * that is not here is passed over. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/support/slabctl_fixture.h"

static const char *const shells[] = {"bash", "zsh", "fish"};
static char script[3][128];

/* Their scripts in files of this test's own (tests run side by side), and slabctl in PATH. */
static void write_scripts(void)
{
	const char *program = getenv("SLABCTL_BIN");
	char path[4096];

	for (unsigned i = 0; i < 3; i++) {
		const struct ctl_run *run = ctl("--completion", shells[i], NULL);
		FILE *file;

		cr_assert_eq(run->code, 0);
		cr_assert_str_empty(run->error);
		snprintf(script[i], sizeof(script[i]), "%s/slabctl-%d.%s", getenv("TMPDIR"),
			 (int)getpid(), shells[i]);
		file = fopen(script[i], "w");
		cr_assert_not_null(file);
		fputs(run->out, file);
		fclose(file);
	}
	snprintf(path, sizeof(path), "%.*s:%s", (int)(strrchr(program, '/') - program), program,
		 getenv("PATH"));
	setenv("PATH", path, 1);
}

static void set_up(void)
{
	ctl_slabd_start();
	cr_assert_eq(ctl("create", "sessions", "--size=64", NULL)->code, 0);
	cr_assert_eq(ctl("create", "buffers", "--size=64", NULL)->code, 0);
	write_scripts();
}

TestSuite(slabctl_completion_alone, .init = write_scripts, .timeout = 100);
TestSuite(slabctl_completion, .init = set_up, .fini = ctl_slabd_stop, .timeout = 100);

static bool have(const char *shell)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", shell);
	if (system(command) == 0)
		return true;
	printf("no %s here: passed over\n", shell);
	return false;
}

/* What a command prints; it must end well and say nothing else. */
static const char *output_of(const char *command)
{
	static char text[64 << 10];
	FILE *pipe = popen(command, "r");
	size_t n;

	cr_assert_not_null(pipe);
	n = fread(text, 1, sizeof(text) - 1, pipe);
	text[n] = 0;
	cr_assert_eq(pclose(pipe), 0, "%s: %s", command, text);
	return text;
}

Test(slabctl_completion_alone, every_script_parses)
{
	char command[640];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(command, sizeof(command), "%s -n %s 2>&1", shells[i], script[i]);
		if (have(shells[i]))
			cr_assert_str_empty(output_of(command));
	}
	snprintf(command, sizeof(command), "bash -c '. %s && complete -p slabctl'", script[0]);
	cr_assert_str_eq(output_of(command), "complete -F _slabctl slabctl\n");
}

Test(slabctl_completion_alone, unknown_shell)
{
	const struct ctl_run *run = ctl("--completion=csh", NULL);

	cr_assert_eq(run->code, 2);
	cr_assert_not_null(strstr(run->error, "\"csh\""));
	cr_assert_not_null(strstr(run->error, "bash, zsh, fish"));
}

static bool is_word_part(char c)
{
	return isalnum((unsigned char)c) || c == '-';
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++)
		if (!is_word_part(at[n]) && (at == text || !isalnum((unsigned char)at[-1])))
			return true;
	return false;
}

/* The words that a command lists stand in each of them. */
static void check_words(const char *command, unsigned least)
{
	static char list[64 << 10], text[64 << 10];
	unsigned n = 0;

	snprintf(list, sizeof(list), "%s", output_of(command));
	for (unsigned i = 0; i < 3; i++) {
		char read[640], *save = NULL, copy[sizeof(list)];

		snprintf(read, sizeof(read), "cat %s", script[i]);
		snprintf(text, sizeof(text), "%s", output_of(read));
		snprintf(copy, sizeof(copy), "%s", list);
		for (char *word = strtok_r(copy, "\n", &save); word; n++) {
			/* fish names options without the two dashes */
			cr_assert(has_word(text, word + strspn(word, "-")), "%s: no %s", shells[i],
				  word);
			word = strtok_r(NULL, "\n", &save);
		}
	}
	cr_assert_geq(n, 3 * least, "%s", list);
}

Test(slabctl_completion_alone, knows_every_verb_and_option)
{
	check_words("slabctl --help | sed -n '/^Verbs:/,/^$/s/^  \\([a-z][a-z-]*\\) .*/\\1/p'", 16);
	check_words("for v in create top orphans shrink events ping; do slabctl $v --help; done |"
		    " grep -oE '^ +(-[a-zA-Z?], +)?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u",
		    22);
}

/* What bash offers for these words, the last of which is being typed. */
static const char *bash_offers(const char *words)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "bash -c '. %s; COMP_WORDS=(slabctl %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
		 "_slabctl; IFS=\" \"; echo \"${COMPREPLY[*]}\"'",
		 script[0], words);
	return output_of(command);
}

Test(slabctl_completion, bash)
{
	char words[256];

	cr_assert_str_eq(bash_offers("st"), "status stat\n");
	cr_assert_str_eq(bash_offers("cache \"\""), "sessions buffers\n");
	cr_assert_str_eq(bash_offers("cache s"), "sessions\n");
	cr_assert_str_eq(bash_offers("--json destroy b"), "buffers\n");
	cr_assert_str_eq(bash_offers("cache sessions \"\""), "\n");
	cr_assert_str_eq(bash_offers("create \"\""), "\n");
	cr_assert_str_eq(bash_offers("set sessions \"\""), "surplus= batch=\n");
	cr_assert_str_eq(bash_offers("create x --fl"), "--flags\n");
	cr_assert_str_eq(bash_offers("create x --flags = r"), "reclaim\n");
	cr_assert_str_eq(bash_offers("create x --flags ="), "reclaim strict hwalign\n");
	cr_assert_str_eq(bash_offers("top -d 3 -s w"), "w\n");
	cr_assert_str_eq(bash_offers("--completion z"), "zsh\n");
	snprintf(words, sizeof(words), "-a %s shrink b", ctl_slabd.socket);
	setenv("SLABD_ADDRESS", "/nowhere", 1);
	cr_assert_str_eq(bash_offers(words), "buffers\n");
	snprintf(words, sizeof(words), "--address = %s shrink b", ctl_slabd.socket);
	cr_assert_str_eq(bash_offers(words), "buffers\n");
	cr_assert_str_eq(bash_offers("shrink \"\""), "\n");
	setenv("SLABD_ADDRESS", ctl_slabd.socket, 1);
}

static const char *fish_offers(const char *line)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "fish -N -c 'source %s; complete -C \"%s\"' | cut -f1 | tr '\\n' ' '", script[2],
		 line);
	return output_of(command);
}

Test(slabctl_completion, fish)
{
	if (!have("fish"))
		return;
	cr_assert_str_eq(fish_offers("slabctl cache "), "buffers sessions ");
	cr_assert_str_eq(fish_offers("slabctl --json cache s"), "sessions ");
	cr_assert_str_eq(fish_offers("slabctl cache sessions "), "");
	cr_assert_str_eq(fish_offers("slabctl set sessions "), "batch= surplus= ");
	cr_assert_str_eq(fish_offers("slabctl stat"), "stat status ");
	cr_assert_str_eq(fish_offers("slabctl create x --fl"), "--flags ");
	cr_assert_str_eq(fish_offers("slabctl -a /nowhere cache "), "");
}

/* Each key that is offered is one that slabd takes. */
Test(slabctl_completion, settings_are_those_of_slabd)
{
	char offered[256], *word;

	snprintf(offered, sizeof(offered), "%s", bash_offers("set sessions \"\""));
	for (word = strtok(offered, " \n"); word; word = strtok(NULL, " \n")) {
		char setting[64];

		snprintf(setting, sizeof(setting), "%sdefault", word);
		cr_assert_eq(ctl("set", "sessions", setting, NULL)->code, 0, "%s", setting);
	}
}
