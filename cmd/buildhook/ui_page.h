/*
 * The page of `buildhook ui` as HTML. Pure: documents and texts in, bytes out; every text from
 * outside is cleaned of control characters and escaped.
 */
#pragma once

#include "ui_model.h"

#define UI_MAX_PAGE_BYTES ((size_t)32 * 1024 * 1024)

/* What every page shows. */
struct ui_page {
	const char *scope;   /* "namespace shop" or "all namespaces" */
	const char *source;  /* the kubeconfig and its context */
	const char *problem; /* "" or why something is missing */
	const char *token;   /* token of the page's forms */
	uint64_t version;    /* version of the model that is shown */
	int64_t now_ms;
};

/* What a command of the page's printed. */
struct ui_result {
	const char *command; /* as a person would type it */
	int status;
	struct str output;
};

/* All webhooks, or those whose namespace or name contain FILTER, and what happened. */
void ui_page_list(struct buf *out, const struct ui_page *page, const struct ui_buildconfig *list,
		  size_t n, struct str filter);
/* One BuildConfig; RESULT may be NULL. */
void ui_page_buildconfig(struct buf *out, const struct ui_page *page,
			 const struct ui_buildconfig *bc, const struct ui_result *result);
/* A page with only a title and a text. */
void ui_page_message(struct buf *out, const char *title, const char *message);
