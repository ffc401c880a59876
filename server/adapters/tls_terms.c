/* Certificates as PEM become what the library wants, and a client's becomes a name. */
#include "server/adapters/tls_private.h"

#include "server/base/ctx.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_MAX = 16, AUTHORITIES_MAX = 64 };

static int bad(struct ctx *ctx, const char *what)
{
    ERR_clear_error();
    return err_set(ctx, ERR_CONFIG, "TlsTermsInvalid", "%s", what);
}

/* Never asks for a pass phrase on a terminal. */
static int no_phrase(char *buffer, int size, int writing, void *arg)
{
    (void)buffer, (void)size, (void)writing, (void)arg;
    return 0;
}

static X509 *next_certificate(BIO *bio)
{
    return PEM_read_bio_X509(bio, NULL, no_phrase, NULL);
}

static int use_chain(struct ctx *ctx, SSL_CTX *tls, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *own = bio ? next_certificate(bio) : NULL, *more;
    bool fine = own && SSL_CTX_use_certificate(tls, own) == 1;
    for (int count = 0; fine && (more = next_certificate(bio)); count++) {
        fine = count < CHAIN_MAX && SSL_CTX_add0_chain_cert(tls, more) == 1;
        if (!fine)
            X509_free(more);
    }
    X509_free(own);
    BIO_free(bio);
    return fine ? 0 : bad(ctx, "the certificate is none, or leads over more than 16 others");
}

static int use_key(struct ctx *ctx, SSL_CTX *tls, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_phrase, NULL) : NULL;
    bool fine = key && SSL_CTX_use_PrivateKey(tls, key) == 1 && SSL_CTX_check_private_key(tls) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return fine ? 0 : bad(ctx, "the key is none without a pass phrase, or not the certificate's");
}

static int trust_clients(struct ctx *ctx, SSL_CTX *tls, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *authority;
    int count = 0;
    bool fine = bio != NULL;
    while (fine && (authority = next_certificate(bio))) {
        fine = ++count <= AUTHORITIES_MAX &&
               X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), authority) == 1 &&
               SSL_CTX_add_client_CA(tls, authority) == 1;
        X509_free(authority);
    }
    BIO_free(bio);
    return fine && count ? 0 : bad(ctx, "the clients' authorities are none, or more than 64");
}

/* Whoever comes is let in: tls_client_of() reads what was found. */
static int let_in(int fine, X509_STORE_CTX *found)
{
    (void)fine, (void)found;
    return 1;
}

static int fill(struct ctx *ctx, SSL_CTX *tls, const struct tls_terms *terms)
{
    TRY(use_chain(ctx, tls, terms->certificate));
    TRY(use_key(ctx, tls, terms->key));
    if (terms->client_ca && *terms->client_ca)
        TRY(trust_clients(ctx, tls, terms->client_ca));
    return 0;
}

int tls_context_make(struct ctx *ctx, const struct tls_terms *terms, SSL_CTX **ret)
{
    ERR_clear_error();
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls)
        abort();
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION); /* nothing of it is renegotiated */
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(tls, 0);
    /* a resumed session would skip the look at the certificate */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* or one call would read as long as records come that have no bytes for us */
    SSL_CTX_clear_mode(tls, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, let_in);
    int rc = fill(ctx, tls, terms);
    if (rc < 0) {
        SSL_CTX_free(tls);
        return rc;
    }
    *ret = tls;
    return 0;
}

/* The only common name, without a NUL in it: two readers must not read two names. */
static void read_name(X509 *certificate, char ret[TLS_NAME_BYTES])
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    int bytes = -1;
    if (at >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0)
        bytes =
            ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (bytes > 0 && bytes < TLS_NAME_BYTES && !memchr(text, 0, (size_t)bytes))
        memcpy(ret, text, (size_t)bytes);
    OPENSSL_free(text);
}

void tls_client_of(SSL *ssl, struct tls_client *ret)
{
    *ret = (struct tls_client){0};
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    ret->certified = certificate && SSL_get_verify_result(ssl) == X509_V_OK;
    if (ret->certified)
        read_name(certificate, ret->name);
    X509_free(certificate);
}
