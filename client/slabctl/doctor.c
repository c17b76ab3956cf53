/* Is all well?  What is not is said with the command that mends it; nothing is changed.  A slabd that
 * is not there is a finding as any other. */
#include "client/slabctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/verbs.h"

#define PATIENCE_MS 3000 /* a slabd that is stopped shall not hold up the rest for long */

static const char *const verdicts[] = {"ok", "note", "FAIL"};

void finding_add(struct findings *findings, enum verdict verdict, const char *what,
		 const char *format, ...)
{
	struct finding *finding = &findings->list[findings->n];
	va_list arguments;

	if (findings->n == LENGTH(findings->list))
		return;
	findings->n++;
	*finding = (struct finding){.verdict = verdict};
	snprintf(finding->what, sizeof(finding->what), "%s", what);
	va_start(arguments, format);
	vsnprintf(finding->text, sizeof(finding->text), format, arguments);
	va_end(arguments);
	output_clean(finding->text);
}

void finding_mend(struct findings *findings, const char *format, ...)
{
	struct finding *finding = &findings->list[findings->n - 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding->command, sizeof(finding->command), format, arguments);
	va_end(arguments);
	output_clean(finding->command);
}

static void examine(struct findings *findings, struct query *query)
{
	struct patient patient = {.query = query};

	if (query->timeout_ms > PATIENCE_MS)
		query->timeout_ms = PATIENCE_MS;
	doctor_kernel(findings);
	doctor_socket(findings, &patient);
	doctor_daemon(findings, &patient);
	host_look(&patient.host, "", patient.answers ? (int)patient.status.pid : patient.keeper);
	doctor_hugepages(findings, &patient);
	doctor_memory(findings, &patient);
	doctor_files(findings, &patient);
	if (patient.answers)
		doctor_pool(findings, &patient);
	query->why[0] = 0; /* it is among the findings */
}

static void show(const struct finding *finding)
{
	static const enum colour colours[] = {GREEN, YELLOW, RED};

	printf("%s%-4s%s  %-10s %s\n", output_colour(colours[finding->verdict]),
	       verdicts[finding->verdict], output_colour(PLAIN), finding->what, finding->text);
	if (*finding->command)
		printf("      %-10s %s\n", "", finding->command);
}

static json_t *finding_json(const struct finding *finding)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "verdict", verdicts[finding->verdict], "what",
			 finding->what, "text", json_text(finding->text), "command",
			 json_text(finding->command));
}

int verb_doctor(struct query *query, const struct order *order)
{
	static struct findings findings;
	json_t *list = json_array();
	bool healthy = true;
	int code = EXIT_DONE;

	examine(&findings, query);
	for (size_t i = 0; i < findings.n; i++) {
		healthy &= findings.list[i].verdict != VERDICT_FAIL;
		if (order->json)
			json_array_append_new(list, finding_json(&findings.list[i]));
		else
			show(&findings.list[i]);
	}
	if (order->json)
		code = json_print(json_pack("{s:b, s:O}", "healthy", healthy, "findings", list));
	json_decref(list);
	return code ? code : healthy ? EXIT_DONE : EXIT_FAILED;
}
