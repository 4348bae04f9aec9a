#include "net/pem_file.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

char *pem_file_read(const char *path, size_t *len, struct err *err) {
  struct stat about;
  if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
    err_set(err, "cannot read %s: not a regular file", path);
    return NULL;
  }
  return disk_read_file(path, LIMIT_PEM_FILE_BYTES, len, err);
}

// Without one, OpenSSL asks on the terminal.
static int no_password(char *out, int room, int writing, void *arg) {
  (void)out, (void)room, (void)writing;
  *(bool *)arg = true;
  return -1;
}

static BIO *open_text(const char *path, char **text, size_t *len, struct err *err) {
  BIO *bio = NULL;
  *text = pem_file_read(path, len, err);
  if (*text && !(bio = BIO_new_mem_buf(*text, (int)*len))) err_set(err, "out of memory");
  return bio;
}

static void close_text(BIO *bio, char *text, size_t len) {
  BIO_free(bio);
  if (text) OPENSSL_cleanse(text, len); // there may be a key in it
  mem_free(text);
  ERR_clear_error();
}

static bool at_end(void) {
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

bool pem_file_check_certificates(const char *path, struct err *err) {
  char *text;
  size_t len, count = 0;
  BIO *bio = open_text(path, &text, &len, err);
  ERR_clear_error();
  for (X509 *x; bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)); count++)
    X509_free(x);
  bool ok = bio && at_end() && count;
  if (bio && !at_end())
    err_set(err, "%s: certificate %zu in it can't be read", path, count + 1);
  else if (bio && !count)
    err_set(err, "%s: has no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path);
  close_text(bio, text, len);
  return ok;
}

static X509 *first_certificate(const char *path, struct err *err) {
  char *text;
  size_t len;
  BIO *bio = open_text(path, &text, &len, err);
  X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  if (bio && !x) err_set(err, "%s: has no certificate in PEM form", path);
  close_text(bio, text, len);
  return x;
}

static EVP_PKEY *read_key(const char *path, struct err *err) {
  char *text;
  size_t len;
  bool asked = false;
  BIO *bio = open_text(path, &text, &len, err);
  EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, &asked) : NULL;
  if (bio && !key)
    err_set(err,
            asked ? "%s: the private key in it needs a password: give one without"
                  : "%s: has no private key in PEM form",
            path);
  close_text(bio, text, len);
  return key;
}

bool pem_file_check_key(const char *path, const char *certificate, struct err *err) {
  EVP_PKEY *key = read_key(path, err);
  X509 *x = key ? first_certificate(certificate, err) : NULL;
  bool ok = x && (X509_check_private_key(x, key) == 1 ||
                  err_set(err, "%s: the private key in it is not that of the certificate", path));
  X509_free(x);
  EVP_PKEY_free(key);
  ERR_clear_error();
  return ok;
}
