// Public data sets and weights, fetched by the program `curl` and checked by `sha256sum` or `md5sum`.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"

namespace convoy {

struct RemoteFile {
  std::string url;
  std::string sum;  // lower-case hexadecimal digits: 64 of SHA-256; 32 of MD5, where no more was published
};

// The files of mnist, fashion-mnist, cifar10, imagenette, vgg16 or vgg16-notop (weights of ImageNet, by Keras).  Throws
// Error(kUsage) listing these.
std::vector<RemoteFile> downloads_of(const std::string& name);

// Throws Error(kUsage) for what is no SHA-256.  Capitals are fine.
RemoteFile checked_download(const std::string& url, std::string sha256);

enum class Fetched { kAlreadyThere, kNew };

// Fetches to `directory`, which must exist, and returns when the file is there, under the last part of its URL, with
// the right checksum.  What has arrived of it is in FILE.part until then, and is gone on from.  One that is there
// already is only checked, so that one brought there by other means is as good. Throws Error: kUnavailable without
// curl, sha256sum, md5sum or a network, or where the server is out of order, kNoInput where the server does not have
// it, kBadData where the checksum is another (the part is removed; a file that was there already stays), kIo.
Fetched fetch(const RemoteFile& download, const std::string& directory);

std::string file_of(const std::string& url);  // the last part of its path

// Where nothing is at `path`: "; convoy data fetch mnist --to=data/mnist brings it" where the path says of which data
// set or weights it is, else "".
std::string fetch_advice(const std::string& path);
// The error with that behind it, where it is kNoInput; else the error.
Error with_fetch_advice(const Error& error, const std::string& path);

}  // namespace convoy
