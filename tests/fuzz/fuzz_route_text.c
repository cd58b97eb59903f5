/* Feeds texts to the readers of routes and rules; what they accept must print as a text that reads as the same. */
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/route_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void route(const char *text)
{
	struct route r, again;
	char why[ROUTE_ERROR_MAX] = "", print[ROUTE_TEXT_MAX], twice[ROUTE_TEXT_MAX];
	if (!route_text_route(text, 0, NULL, &r, why)) {
		require(why[0]);
		return;
	}
	route_text_print(&r, print);
	/* the reader takes 255 letters, and defaults written out may make it more */
	if (strlen(print) > 255)
		return;
	require(route_text_route(print, 0, NULL, &again, why));
	require(strcmp(print, route_text_print(&again, twice)) == 0);
}

static void rule(const char *text)
{
	struct rule r, again;
	char why[ROUTE_ERROR_MAX] = "", print[ROUTE_TEXT_MAX], twice[ROUTE_TEXT_MAX];
	if (!route_text_rule(text, 0, NULL, &r, why)) {
		require(why[0]);
		return;
	}
	route_text_print_rule(&r, print);
	if (strlen(print) > 255)
		return;
	require(route_text_rule(print, 0, NULL, &again, why));
	require(strcmp(print, route_text_print_rule(&again, twice)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512];
	struct route_name name;
	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	route(text);
	rule(text);
	if (route_text_table_line(text, &name))
		require(name.id && name.name[0]);
	return 0;
}
