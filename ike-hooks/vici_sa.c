#include "ike-hooks/vici_sa.h"

void vici_sa_begin(struct vici_sa_rd *r, const void *msg, size_t len)
{
	memset(r, 0, sizeof(*r));
	vici_rd_init(&r->rd, msg, len);
}

static void clear_child(struct vici_sa_row *row)
{
	row->has_child = false;
	memset(row->child, 0, sizeof(row->child));
	row->child_id = 0;
	row->installed = false;
	row->in_packets = row->out_packets = 0;
	row->spi_in = 0;
}

static void section_begins(struct vici_sa_rd *r)
{
	unsigned depth = r->rd.depth;

	if (depth == 1) {
		memset(&r->row, 0, sizeof(r->row));
		vici_name_copy(r->row.ike, sizeof(r->row.ike), r->rd.name);
		r->any_child = false;
	} else if (depth == 2 && strcmp(r->rd.name, "child-sas") == 0) {
		r->in_kids = 2;
	} else if (depth == 3 && r->in_kids) {
		clear_child(&r->row);
		r->row.has_child = true;
	} else if ((depth == 4 && r->in_kids) || (depth == 2 && !r->in_kids)) {
		r->replaced = strcmp(r->rd.name, "old") == 0;
	}
}

static void ike_key(struct vici_sa_rd *r)
{
	if (strcmp(r->rd.name, "uniqueid") == 0)
		r->row.ike_id = (uint32_t)vici_value_u64(&r->rd);
	else if (strcmp(r->rd.name, "state") == 0)
		r->row.established = vici_value_is(&r->rd, "ESTABLISHED") || vici_value_is(&r->rd, "REKEYING");
}

static void child_key(struct vici_sa_rd *r)
{
	const char *name = r->rd.name;

	if (strcmp(name, "name") == 0)
		vici_value_name(&r->rd, r->row.child, sizeof(r->row.child));
	else if (strcmp(name, "uniqueid") == 0)
		r->row.child_id = (uint32_t)vici_value_u64(&r->rd);
	else if (strcmp(name, "state") == 0)
		r->row.installed = vici_value_is(&r->rd, "INSTALLED") || vici_value_is(&r->rd, "REKEYING") ||
				   vici_value_is(&r->rd, "UPDATING");
	else if (strcmp(name, "spi-in") == 0)
		r->row.spi_in = vici_value_hex32(&r->rd);
	else if (strcmp(name, "packets-in") == 0)
		r->row.in_packets = vici_value_u64(&r->rd);
	else if (strcmp(name, "packets-out") == 0)
		r->row.out_packets = vici_value_u64(&r->rd);
}

/* True when a row is complete. */
static bool section_ended(struct vici_sa_rd *r)
{
	unsigned depth = r->rd.depth; /* after the end */

	if (depth == 3 || depth == 1)
		r->replaced = false;
	if (depth == 1)
		r->in_kids = 0;
	if (depth == 2 && r->in_kids) {
		r->any_child = true;
		return true;
	}
	return depth == 0 && !r->any_child;
}

bool vici_sa_next(struct vici_sa_rd *r, struct vici_sa_row *row)
{
	for (;;) {
		switch (vici_next(&r->rd)) {
		case VICI_T_SECTION:
			section_begins(r);
			break;
		case VICI_T_SECTION_END:
			if (!section_ended(r))
				break;
			if (r->rd.depth == 0)
				clear_child(&r->row);
			*row = r->row;
			return true;
		case VICI_T_KEY:
			if (r->replaced)
				break;
			if (r->in_kids && r->rd.depth >= 3 && r->rd.depth <= 4)
				child_key(r);
			else if (!r->in_kids && r->rd.depth >= 1 && r->rd.depth <= 2)
				ike_key(r);
			break;
		case VICI_T_LIST:
		case VICI_T_ITEM:
		case VICI_T_LIST_END:
			break;
		case VICI_T_END:
		case VICI_T_BAD:
			return false;
		}
	}
}

void vici_sample_add(struct ike_sample *s, const struct vici_sa_row *row, const char *ike, const char *child)
{
	if (!row->ike[0] || strcmp(row->ike, ike) != 0)
		return;
	s->present = true;
	s->established = s->established || row->established;
	if (row->has_child && row->spi_in) {
		if (s->n_spis < IKE_SAMPLE_SPIS)
			s->spi_in[s->n_spis++] = row->spi_in;
		else
			s->more_spis = true;
	}
	if (!row->has_child || !row->installed || strcmp(row->child, child) != 0)
		return;
	/*
	 * Several children of one name: a rekey hands over, or strongSwan 6.0.2 and later keep one for each CPU (RFC 9611).
	 * The newest one stands for them; packets come and go on any. When one leaves, the sum shrinks, which begins anew
	 * what is concluded from counters.
	 */
	if (!s->child || row->child_id > s->sa_id)
		s->sa_id = row->child_id;
	s->child = true;
	s->in_packets += row->in_packets;
	s->out_packets += row->out_packets;
}
