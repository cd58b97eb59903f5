/*
 * Purpose: the one place that includes OpenSSL: its type name ERR_STATE (unused by us) gives way to our error code.
 * Owns:    nothing.
 * Thread:  any.
 * In/Out:  OpenSSL's headers.
 * Errors:  none.
 */
#ifndef KT_SYNC_OSSL_H
#define KT_SYNC_OSSL_H

#define ERR_STATE OSSL_ERR_STATE
#include <openssl/types.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#undef ERR_STATE

#endif
