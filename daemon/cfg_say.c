/* What a configuration's readers found, for the log and for streams. */
#include "daemon/cfg_say.h"

#include "daemon/base/log.h"

void cfg_say(const struct cfg_errors *errs, bool notes, FILE *out)
{
	for (unsigned i = 0; i < errs->n; i++)
		fprintf(out, "%s\n", errs->list[i].text);
	if (errs->not_served[0])
		fprintf(out, "%s\n", errs->not_served);
	for (unsigned i = 0; i < errs->n_warnings; i++)
		fprintf(out, "%s\n", errs->warnings[i].text);
	for (unsigned i = 0; i < errs->n_missing; i++)
		fprintf(out, "%s\n", errs->missing[i].text);
	for (unsigned i = 0; notes && i < errs->n_notes; i++)
		fprintf(out, "%s\n", errs->notes[i].text);
}

void cfg_say_log(const struct cfg_errors *errs)
{
	for (unsigned i = 0; i < errs->n; i++)
		log_err(LOG_CFG, "%s", errs->list[i].text);
	if (errs->not_served[0])
		log_err(LOG_CFG, "%s", errs->not_served);
	for (unsigned i = 0; i < errs->n_warnings; i++)
		log_warn(LOG_CFG, "%s", errs->warnings[i].text);
	for (unsigned i = 0; i < errs->n_missing; i++)
		log_warn(LOG_CFG, "%s", errs->missing[i].text);
	for (unsigned i = 0; i < errs->n_notes; i++)
		log_info(LOG_CFG, "%s", errs->notes[i].text);
}
