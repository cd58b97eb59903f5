/* ktsh: the shell of keeptrackd. */
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/shell.h"

#define COMMANDS_MAX 256

static void usage(FILE *out)
{
	fputs("Usage: ktsh [-u] [-s PATH] [-c COMMAND]... | [COMMAND WORD...]\n"
	      "  -c COMMAND         run the command and end; may be repeated, ends at the first failure\n"
	      "  -u                 view only: refuse commands that change something\n"
	      "  -s, --socket PATH  control socket (" CTL_SOCKET ")\n"
	      "  -V, --version      print the version\n"
	      "Without a command: interactive on a terminal, else lines from standard input. See ktsh(1).\n",
	      out);
}

/* A text may hold several lines. */
static int run_text(struct shell *sh, const char *text)
{
	char *copy = strdup(text), *rest = copy;
	int code = copy ? CTL_OK : CTL_FAILED;

	for (char *line; code == CTL_OK && !sh->leave && (line = strsep(&rest, "\n")) != NULL;)
		code = shell_line(sh, line);
	free(copy);
	return code;
}

/* `ktsh show vrrp json`: the words as one line, quoted so that they stay words. */
static int run_words(struct shell *sh, char *const *words)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int code = CTL_FAILED;

	if (!f)
		return code;
	for (bool first = true; *words; words++, first = false) {
		bool plain = **words && !strpbrk(*words, " \t\r\n\"\\");
		fputs(first ? "" : " ", f);
		fputs(plain ? "" : "\"", f);
		for (const char *p = *words; *p; p++)
			fprintf(f, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
		fputs(plain ? "" : "\"", f);
	}
	if (fclose(f) == 0 && text)
		code = shell_line(sh, text);
	free(text);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "command", required_argument, NULL, 'c' }, { "socket", required_argument, NULL, 's' },
		{ "view", no_argument, NULL, 'u' },          { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },       { NULL, 0, NULL, 0 }
	};
	const char *commands[COMMANDS_MAX], *socket_path = CTL_SOCKET;
	struct shell sh;
	int n = 0, code = CTL_OK, opt;
	bool view = false;

	setlocale(LC_CTYPE, ""); /* names and paths may hold more than ASCII */
	while ((opt = getopt_long(argc, argv, "+c:s:uhV", longs, NULL)) != -1) {
		if (opt == 'c' && n < COMMANDS_MAX) {
			commands[n++] = optarg;
		} else if (opt == 's') {
			socket_path = optarg;
		} else if (opt == 'u') {
			view = true;
		} else if (opt == 'V') {
			puts("ktsh " KT_VERSION);
			return CTL_OK;
		} else {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? CTL_OK : CTL_FAILED;
		}
	}
	shell_init(&sh, socket_path, stdout);
	sh.view_only = view;
	for (int i = 0; i < n && code == CTL_OK && !sh.leave; i++)
		code = run_text(&sh, commands[i]);
	if (n == 0 && optind < argc)
		code = run_words(&sh, argv + optind);
	else if (n == 0)
		code = isatty(STDIN_FILENO) ? repl_run(&sh) : repl_pipe(&sh, stdin);
	shell_end(&sh);
	if (fflush(stdout) != 0 && code == CTL_OK)
		code = CTL_FAILED;
	return code;
}
