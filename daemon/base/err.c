#define _GNU_SOURCE 1
#include <string.h>
#include "daemon/base/err.h"

const char *err_text(int code)
{
	switch (code) {
	case 0:
		return "success";
#define ERR_TEXT_CASE(name, num, text) \
	case name:                     \
		return text;
		ERR_TABLE(ERR_TEXT_CASE)
#undef ERR_TEXT_CASE
	}
	/* strerrordesc_np is static and not translated; strerror may be neither. */
	const char *text = code < 0 ? strerrordesc_np(-code) : NULL;
	return text ? text : "unknown error";
}

const char *err_name(int code)
{
	switch (code) {
	case 0:
		return "OK";
#define ERR_NAME_CASE(name, num, text) \
	case name:                     \
		return #name;
		ERR_TABLE(ERR_NAME_CASE)
#undef ERR_NAME_CASE
	}
	const char *name = code < 0 ? strerrorname_np(-code) : NULL;
	return name ? name : "EUNKNOWN";
}
