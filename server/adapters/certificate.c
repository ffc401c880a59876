#include "server/adapters/certificate.h"

#include "server/adapters/crypto.h"
#include "server/base/arena.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, VERSION_3 = 2 };

static void must(int done)
{
    if (done <= 0)
        abort();
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    must(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static X509 *make(EVP_PKEY *key, const char *name)
{
    X509 *certificate = X509_new();
    int64_t serial;
    crypto_random(&serial, sizeof serial);
    must(certificate && X509_set_version(certificate, VERSION_3));
    must(ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), serial & INT64_MAX));
    must(X509_gmtime_adj(X509_getm_notBefore(certificate), -HOUR_S) != NULL);
    must(X509_gmtime_adj(X509_getm_notAfter(certificate), (long)CERTIFICATE_DAYS * DAY_S) != NULL);
    X509_NAME *subject = X509_get_subject_name(certificate);
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0));
    must(X509_set_issuer_name(certificate, subject));
    must(X509_set_pubkey(certificate, key));
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    must(X509_sign(certificate, key, EVP_sha256()));
    return certificate;
}

static char *text_of(struct arena *arena, BIO *bio)
{
    char *text;
    long bytes = BIO_get_mem_data(bio, &text);
    char *copy = arena_strndup(arena, text, (size_t)bytes);
    BIO_free(bio);
    return copy;
}

void certificate_loopback(struct arena *arena, const char *name, const char **ret_certificate,
                          const char **ret_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *key_pem = BIO_new(BIO_s_secmem()), *certificate_pem = BIO_new(BIO_s_mem());
    must(key && key_pem && certificate_pem);
    X509 *certificate = make(key, name);
    must(PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL));
    must(PEM_write_bio_X509(certificate_pem, certificate));
    *ret_certificate = text_of(arena, certificate_pem);
    char *secret = text_of(arena, key_pem);
    crypto_wipe_later(arena, secret);
    *ret_key = secret;
    X509_free(certificate);
    EVP_PKEY_free(key);
}
