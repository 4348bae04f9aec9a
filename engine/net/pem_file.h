// pem_file.h - files of certificates and private keys (PEM, RFC 7468) that a stream's settings name.
#pragma once
#include "base/err.h"
#include <stddef.h>

// As disk_read_file, of a regular file: another kind could keep its reader waiting.
char *pem_file_read(const char *path, size_t *len, struct err *err);

// Whether the file can be read and holds certificates, each of them whole; err says why not.
bool pem_file_check_certificates(const char *path, struct err *err);
// Whether it holds the private key of the first certificate in the other file, without a password.
bool pem_file_check_key(const char *path, const char *certificate, struct err *err);
