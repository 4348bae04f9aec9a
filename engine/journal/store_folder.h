// store_folder.h - a data folder as one engine's own: the lock that keeps a second engine out, and the spare
// room for a full disk.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct store_folder {
  char *lock_path, *store_path, *spare_path; // FOLDER/lock, FOLDER/store, FOLDER/store/spare
  int lock;                                  // descriptor; -1: not held
  bool has_spare;
};

// Makes the folders, takes the lock, makes the spare if there is room. Refused in words when another engine
// has the lock or the folder can't be written.
bool store_folder_open(struct store_folder *f, const char *folder, struct err *err);
void store_folder_close(struct store_folder *f); // takes what a failed open left

// Gives the spare's room back to the disk. False: it had been given already.
bool store_folder_release_spare(struct store_folder *f);
// Whether less than the spare's size is free.
bool store_folder_is_full(const struct store_folder *f);
// Makes the spare again if it is gone and the disk has several times its size free.
void store_folder_restore_spare(struct store_folder *f);
