/* keepalived.conf as statements: what the manual page shows, what keepalived 2.2.7 was seen to do, and every limit. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/dropin/kconf_lex.h"
#include "tests/unit/kconf_util.h"
#include "tests/unit/run.h"

static const char *const env[] = { "PATH=/bin", "SITE=north", "SIT=no", NULL };
static const char *const blocks[] = { "global_defs", "vrrp_instance", "unicast_peer", NULL };
static const struct kconf_opts opts = { .config_id = "main", .env = env, .random_seed = 7, .blocks = blocks };

static struct kconf *read_text(const char *text, struct cfg_errors *errs)
{
	return kconf_read_text(text, strlen(text), "k.conf", "/etc/k", &opts, errs);
}

struct lexed {
	const char *in, *out, *said; /* NULL: nothing is said */
};

#define N(list) (int)(sizeof(list) / sizeof((list)[0]))

static const struct lexed blocks_and_words[] = {
	{ "a b\n", "[a|b]", NULL },
	{ "a b", "[a|b]", NULL },
	{ "a\r\nb\r\n", "[a][b]", NULL },
	{ "\xef\xbb\xbf"
	  "a\n",
	  "[a]", NULL },
	{ "a { b c }\n", "[a{[b|c]}]", NULL },
	{ "a\n{\nb\n}\n", "[a{[b]}]", NULL },
	{ "a{b}c\n", "[a{[b]}][c]", NULL },
	{ "a {\n b { c } d\n}\ne\n", "[a{[b{[c]}][d]}][e]", NULL },
	{ "a { }\n", "[a{}]", NULL },
	{ "v { 10.0.0.1 10.0.0.2\n10.0.0.3 } p 50\n", "[v{[10.0.0.1|10.0.0.2][10.0.0.3]}][p|50]", NULL },
	{ "a # b {\n! c\nd\n", "[a][d]", NULL },
	{ "a \"b { c\" {\n}\n", "[a|b { c{}]", NULL },
	{ "a \"b\n", "[a]", "W: k.conf:1: a \" does not end in this line" },
	{ "a \\\n", "[a]", "W: k.conf:1: a \\ at the end only continues" },
	{ "} a\n", "[a]", "W: k.conf:1: a } too many" },
	{ "x { } }\na\n", "[x{}][a]", "W: k.conf:1: a } too many" },
	{ "{\na {\nb\n}\nc }\nd\n", "[a{[b]}][c][d]", "W: k.conf:1: a { without a keyword" },
	{ "x {\n{ a }\nb }\nd\n", "[x{[a][b]}][d]", "W: k.conf:2: a { without a keyword" },
	{ "global_defs\nrouter_id x\n}\na\n", "[global_defs{[router_id|x]}][a]",
	  "W: k.conf:2: no { after global_defs" },
	{ "vrrp_instance V {\nunicast_peer\n}\na }\n", "[vrrp_instance|V{[unicast_peer{}][a]}]",
	  "W: k.conf:3: no { after unicast_peer" },
	{ "a ${NONE} b\n", "[a|${NONE}|b]", "W: k.conf:1: a variable in this line has no value" },
	{ "a \"${NONE}\" $NONE b\n", "[a|${NONE}|$NONE|b]", NULL },
};

static const struct lexed conditions[] = {
	{ "@main a\n@other b\n@^main c\n@^other d\n", "[a][d]", NULL },
	{ "a {\n@main b {\n@main c }\n@other d }\n}\ne\n", "[a{[b{[c]}]}][e]", NULL },
	{ "@main $P=240\n@backup $P=200\np $P\n", "[p|240]", NULL },
	{ "$IF=@main\n$IF a\n$IF2=@other\n$IF2 b\n", "[a]", NULL },
	{ "@main @^main a\n@main @main b\n", "[b]", NULL },
	{ "@main\na\n", "[a]", NULL },
};

static const struct lexed variables[] = {
	{ "$A=10.2.${S}\n$S=0\n${A}.100/32\n$S=10\n${A}.100/32\n", "[10.2.0.100/32][10.2.10.100/32]", NULL },
	{ "$A=x\na $A, $A) $A. $A\n", "[a|x,|x)|$A.|x]", NULL },
	{ "$A=\na ${A}b\n$A\nc\n", "[a|b][c]", NULL },
	{ "$A = x\na\n", "[$A|=|x][a]", NULL },
	{ "$A=b { c }\na $A d\n", "[a|b{[c]}][d]", NULL },
	{ "$A=# x\na $A\n", "[a]", NULL },
	{ "a${_HASH}b ${_BANG}\n", "[a#b|!]", NULL },
	{ "a ${_PWD}/x $_PWD ${_INSTANCE}\n", "[a|/etc/k/x|/etc/k|main]", NULL },
	{ "$_PWD=/x\na ${_PWD}\n", "[a|/x]", NULL },
	{ "a ${_ENV SITE} ${_ENV PATH}\n", "[a|north|/bin]", NULL },
	{ "a x${_ENV SI}x\n", "[a|xx]", "W: k.conf:1: ${_ENV SI}: the environment has no such variable" },
	{ "a ${_RANDOM 7 7} ${_RANDOM 9 3}\n", "[a|7|9]", "W: k.conf:1: ${_RANDOM}: 3 is less than 9" },
	{ "a ${_RANDOM 1 1 1}\n", "[a|1]", "W: k.conf:1: ${_RANDOM 1 1 1}: two numbers" },
	{ "$A= \\\nb { \\\n c ${N} \\\n}\n$N=1\n$A\n$N=2\n$A\nd\n", "[b{[c|1]}][b{[c|2]}][d]", NULL },
	{ "$A=b \\\nc\n$A\n$B=x\nd ${A}\n$A e\n", "[b][c][d|b][c][$A|e]", NULL },
	{ "$A= \\\n# no\n  \nb \\\n! no \\\nc\n$A\n", "[b][c]", NULL },
	{ "$A= \\\nb \\\n\nc\n$A\n", "[c][b]", NULL },
	{ "$A= \\\nb\n$A\n", "[b]", NULL },
	{ "$A= \\\n\n$A\nx\n", "[x]", NULL },
	{ "$R= \\\nr ${V}.${N} { \\\nw \\\n}\n$V_= \\\nv ${V} { \\\n$N=1 \\\n$R \\\n$N=2 \\\n$R \\\nq \\\n}\n"
	  "$V=5\n$V_\n$V=6\n$V_\n",
	  "[v|5{[r|5.1{[w]}][r|5.2{[w]}][q]}][v|6{[r|6.1{[w]}][r|6.2{[w]}][q]}]", NULL },
	{ "$A= \\\nb {\n$A c }\nx { $A\n", "[$A|c][x{[b{}]}]",
	  "E: k.conf:4: the block x that begins here does not end" },
};

static const struct lexed sequences[] = {
	{ "~SEQ(S, 0, 3) a 10.0.${S}.1\n", "[a|10.0.0.1][a|10.0.1.1][a|10.0.2.1][a|10.0.3.1]", NULL },
	{ "~SEQx(S, 144, 16, 192) ${S}\n", "[90][a0][b0][c0]", NULL },
	{ "a { ~SEQ(S,2) ${S}\n}\n", "[a{[1][2]}]", NULL },
	{ "~SEQ(A,2) ~SEQ(B,0,-1,-1) ${A},${B}\nz\n", "[1,0][1,-1][2,0][2,-1][z]", NULL },
	{ "$N=2\n~SEQ(A,1,$N) a${A}\n~SEQ(A,${N}) b${A}\n", "[a1][a2][b1][b2]", NULL },
	{ "$V= \\\nv ${I}.${N} { \\\ni e${I} \\\n}\n~SEQ(I,0,1) ~SEQ(N,5,6) $V\nz\n",
	  "[v|0.5{[i|e0]}][v|0.6{[i|e0]}][v|1.5{[i|e1]}][v|1.6{[i|e1]}][z]", NULL },
	{ "$S=~SEQ(A,1,2) x${A}\n$A=9\n$S\n", "[x1][x2]", NULL },
	{ "$M= \\\n~SEQ(A,1,2) m${A} \\\nn\n~SEQ(B,1,2) $M\n", "[m1][m2][n][m1][m2][n]", NULL },
	{ "~SEQ(A,9223372036854775806,9223372036854775807) ${A}\n", "[9223372036854775806][9223372036854775807]",
	  NULL },
	{ "~SEQ(A,1,-1,3) x\na\n", "[a]", "W: k.conf:1: \"~SEQ(A,1,-1,3) x\" is not ~SEQ(name, start" },
	{ "~SEQ(A) x\n", "", "is not ~SEQ(" },
	{ "~SEQ(A,1,$M) x\na\n", "[a]", "is not ~SEQ(" },
	{ "~LST(A, x, y) a $A\n", "[a|x][a|y]", NULL },
	{ "~LST({IP, IP1}, {10,1},{20,4}) ~SEQ(I,168,2,170) 192.${I}.${IP}.${IP1}\n",
	  "[192.168.10.1][192.170.10.1][192.168.20.4][192.170.20.4]", NULL },
	{ "~LST(A, 1, 2) ~LST(B, 5,6) ${A}.${B}\n", "[1.5][1.6][2.5][2.6]", NULL },
	{ "~LST(A, 1 2) x\na\n", "[a]", "W: k.conf:1: \"~LST(A, 1 2) x\" is not ~LST(" },
	{ "~OTHER x\n", "[~OTHER|x]", NULL },
};

static void lexed(const struct lexed *t)
{
	struct cfg_errors errs = { 0 };
	struct kconf *k = read_text(t->in, &errs);

	ck_assert_str_eq(shown(k), t->out);
	if (!t->said)
		ck_assert_str_eq(messages(&errs), t->out[0] ? "" : "E: k.conf: there is nothing in it\n");
	else
		ck_assert_msg(strstr(messages(&errs), t->said), "said:\n%s", messages(&errs));
	kconf_free(k);
	cfg_errors_free(&errs);
}

START_TEST(block)
{
	lexed(&blocks_and_words[_i]);
}
END_TEST

START_TEST(condition)
{
	lexed(&conditions[_i]);
}
END_TEST

START_TEST(variable)
{
	lexed(&variables[_i]);
}
END_TEST

START_TEST(sequence)
{
	lexed(&sequences[_i]);
}
END_TEST

START_TEST(positions)
{
	struct cfg_errors errs = { 0 };
	struct kconf *k = read_text("\na {\n\n  b c\n}\n$M=x \\\ny\n\n$M\n", &errs);
	const struct kconf_stmt *a = k->subs, *x = a->next, *y = x->next;

	ck_assert_str_eq(a->at.file, "k.conf");
	ck_assert_uint_eq(a->at.line, 2);
	ck_assert_uint_eq(a->subs->at.line, 4);
	/* what a variable makes is where the variable is used */
	ck_assert_uint_eq(x->at.line, 9);
	ck_assert_uint_eq(y->at.line, 9);
	ck_assert_ptr_null(a->from);
	ck_assert_uint_eq(k->n_stmts, 4);
	ck_assert_uint_eq(k->n_files, 1);
	ck_assert_str_eq(k->files[0], "k.conf");
	ck_assert_ptr_eq(kconf_find(k->subs, "y"), y);
	ck_assert_ptr_null(kconf_find(k->subs, "b"));
	ck_assert(a->block && !x->block);
	kconf_complain(&errs, CFG_WARNING, y, "says %d", 5);
	ck_assert_str_eq(messages(&errs), "W: k.conf:9: says 5\n");
	kconf_free(k);
	cfg_errors_free(&errs);
}
END_TEST

START_TEST(shell_words)
{
	struct cfg_errors errs = { 0 };
	struct kconf *k = read_text("a b c\nnotify \"/bin/x 'p q' r\" \\x41\ns 'x y' z\nt 'x\nu x\\\\\n", &errs);
	const struct kconf_stmt *s = k->subs;
	unsigned n;

	ck_assert_ptr_null(s->text);
	ck_assert_ptr_eq(kconf_shell_words(k, s, &n, &errs), s->words);
	ck_assert_uint_eq(n, 3);
	s = s->next;
	ck_assert_str_eq(s->words[1], "/bin/x 'p q' r");
	char **w = kconf_shell_words(k, s, &n, &errs);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(w[1], "/bin/x 'p q' r");
	ck_assert_str_eq(w[2], "A");
	s = s->next;
	ck_assert_uint_eq(s->n_words, 4);
	w = kconf_shell_words(k, s, &n, &errs);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(w[1], "x y");
	ck_assert_ptr_null(kconf_shell_words(k, s->next, &n, &errs));
	ck_assert_str_eq(messages(&errs), "E: k.conf:4: t: a quote does not end\n");
	w = kconf_shell_words(k, s->next->next, &n, &errs);
	ck_assert_str_eq(w[1], "x\\");
	kconf_free(k);
	cfg_errors_free(&errs);
}
END_TEST

/* An empty text, one that was cut off at every byte, one without anything in it. */
START_TEST(truncated)
{
	static const char text[] =
	    "global_defs {\n router_id x\n}\nvrrp_instance V {\n virtual_ipaddress {\n  1.2.3.4\n }\n}\n";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct cfg_errors errs = { 0 };
		struct kconf *k = kconf_read_text(text, n, "k.conf", "/", &opts, &errs);
		unsigned depth = 0, words = 0;
		for (size_t i = 0; i < n; i++) {
			depth += text[i] == '{';
			depth -= text[i] == '}';
			words += text[i] > ' ';
		}
		ck_assert_ptr_nonnull(k);
		ck_assert_uint_eq(errs.n, words ? depth : 1);
		kconf_free(k);
		cfg_errors_free(&errs);
	}
}
END_TEST

static void refused(const char *text, const struct kconf_opts *o, const char *word)
{
	struct cfg_errors errs = { 0 };
	struct kconf *k = kconf_read_text(text, strlen(text), "k.conf", "/", o, &errs);

	ck_assert_uint_eq(errs.n, 1);
	ck_assert_msg(strstr(errs.list[0].text, word), "%s", errs.list[0].text);
	kconf_free(k);
	cfg_errors_free(&errs);
}

START_TEST(endless)
{
	struct kconf_opts few = opts;
	few.max_work = 1000;
	refused("$A=${A}\na ${A}\n", &few, "more than 1000 lines and variables");
	refused("$A=${A}${A}\na ${A}\n", &opts, "does a variable contain itself?");
	refused("$A= \\\n$A \\\nx\n$A\n", &opts, "nested more than 128 deep");
	refused("~SEQ(A,1,2000000000) x\n", &few, "more than 1000 lines");
	refused("~SEQ(A,1,2000000000) @no x\n", &few, "more than 1000 lines");
	refused("~SEQ(A,1,2000000000)\n", &few, "more than 1000 lines");
	refused("$A=@main ${A}\n${A}\n", &few, "more than 1000 lines");
}
END_TEST

START_TEST(limits)
{
	char *text = malloc(70001);
	memset(text, 'x', 70000);
	text[70000] = '\0';
	refused(text, &opts, "the line is longer than 65536 letters");
	for (unsigned i = 0; i < 40; i++)
		memcpy(text + 4 * i, "a {\n", 4);
	text[160] = '\0';
	refused(text, &opts, "blocks are nested more than 32 deep");
	refused("a\ninclude x.conf\n", &opts, "include x.conf: there are no files beside this text");
	free(text);
}
END_TEST

START_TEST(nul_byte)
{
	struct cfg_errors errs = { 0 };
	struct kconf *k = kconf_read_text("a b\0c\nd\n", 8, "k.conf", "/", &opts, &errs);

	ck_assert_str_eq(shown(k), "[a|b][d]");
	ck_assert_str_eq(messages(&errs), "W: k.conf:1: a NUL in the line; what follows it is left out\n");
	kconf_free(k);
	cfg_errors_free(&errs);
}
END_TEST

/* The same seed gives the same numbers, in the file's own words too. */
START_TEST(random_numbers)
{
	static const char text[] = "a ${_RANDOM 1 1000000} ${_RANDOM}\n",
			  seeded[] = "global_defs {\nrandom_seed 5\n}\na ${_RANDOM 1 1000000}\n";
	struct cfg_errors errs = { 0 };
	struct kconf_opts other = opts;
	char first[100];
	struct kconf *k = read_text(text, &errs);

	snprintf(first, sizeof(first), "%s", shown(k));
	kconf_free(k);
	k = read_text(text, &errs);
	ck_assert_str_eq(shown(k), first);
	kconf_free(k);
	other.random_seed = 8;
	k = kconf_read_text(text, strlen(text), "k", "/", &other, &errs);
	ck_assert_str_ne(shown(k), first);
	kconf_free(k);
	k = kconf_read_text(seeded, strlen(seeded), "k", "/", &other, &errs);
	snprintf(first, sizeof(first), "%s", shown(k));
	kconf_free(k);
	k = read_text(seeded, &errs);
	ck_assert_str_eq(shown(k), first);
	kconf_free(k);
	ck_assert_str_eq(messages(&errs), "");
	cfg_errors_free(&errs);
}
END_TEST

/* The manual's largest example: 65,024 instances from one line. */
START_TEST(large)
{
	static const char text[] = "$VI4= \\\n"
				   "track_file f.${IF}.${NUM}.${ID} { \\\n"
				   "file \"${_PWD}/679/track_files/4.${IF}.${NUM}.${ID}\" \\\n"
				   "weight -100 \\\n"
				   "} \\\n"
				   "vrrp_instance vrrp4.${IF}.${NUM}.${ID} { \\\n"
				   "interface bond${IF}.${NUM} \\\n"
				   "virtual_router_id ${ID} \\\n"
				   "virtual_ipaddress { \\\n"
				   "10.${IF}.${NUM}.${ID}/24 \\\n"
				   "} \\\n"
				   "}\n"
				   "~SEQ(IF,0,7) ~SEQ(NUM,0,31) ~SEQ(ID,1,254) $VI4\n";
	struct cfg_errors errs = { 0 };
	struct kconf *k = read_text(text, &errs);
	const struct kconf_stmt *s = k->subs;
	unsigned n = 0;

	ck_assert_str_eq(messages(&errs), "");
	ck_assert_str_eq(s->next->words[1], "vrrp4.0.0.1");
	for (; s; s = s->next) {
		n += !strcmp(s->words[0], "vrrp_instance");
		if (!s->next)
			ck_assert_str_eq(s->words[1], "vrrp4.7.31.254");
	}
	ck_assert_uint_eq(n, 65024);
	kconf_free(k);
	cfg_errors_free(&errs);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kconf_lex");
	TCase *t = tcase_create("texts");

	tcase_add_loop_test(t, block, 0, N(blocks_and_words));
	tcase_add_loop_test(t, condition, 0, N(conditions));
	tcase_add_loop_test(t, variable, 0, N(variables));
	tcase_add_loop_test(t, sequence, 0, N(sequences));
	tcase_add_test(t, positions);
	tcase_add_test(t, shell_words);
	tcase_add_test(t, truncated);
	tcase_add_test(t, endless);
	tcase_add_test(t, limits);
	tcase_add_test(t, nul_byte);
	tcase_add_test(t, random_numbers);
	tcase_add_test(t, large);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return unit_run(s);
}
