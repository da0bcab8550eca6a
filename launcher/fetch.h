// Public data sets, fetched by the program `curl` and checked by `sha256sum`.
#pragma once

#include <string>
#include <vector>

namespace convoy {

struct Download {
  std::string url;
  std::string sha256;  // 64 lower-case hexadecimal digits
};

// The files of mnist, fashion-mnist, cifar10 or imagenette.  Throws Error(kUsage) listing these.
std::vector<Download> downloads_of(const std::string& name);

// Throws Error(kUsage) for what is no SHA-256.  Capitals are fine.
Download checked_download(const std::string& url, std::string sha256);

enum class Fetched { kAlreadyThere, kNew };

// Fetches to `directory`, which must exist, and returns when the file is there, under the last part of its URL, with
// the right SHA-256.  What has arrived of it is in FILE.part until then, and is gone on from.  One that is there
// already is only checked, so that one brought there by other means is as good. Throws Error: kUnavailable without
// curl, sha256sum or a network, or where the server is out of order, kNoInput where the server does not have it,
// kBadData where the SHA-256 is another (the part is removed; a file that was there already stays), kIo.
Fetched fetch(const Download& download, const std::string& directory);

std::string file_of(const std::string& url);  // the last part of its path

}  // namespace convoy
