// A list of image files with labels.
//
// NAME.csv: a header line that names the columns `path` and `label`, perhaps `split`, and any others, which are not
// read; RFC 4180 (core/io/csv.h).  NAME.jsonl: one JSON object a line with these fields.
// Relative paths start at the manifest's directory.  Labels are numbers or names (core/data/label_table.h); they and
// the classes are those of the whole list, whatever part of it is opened.
// A split is train, or one of kValidationNames (core/data/image_store.h).
#pragma once

#include <string>

#include "core/data/image_store.h"

namespace convoy {

bool is_manifest_name(std::string_view path);  // ends in .csv or .jsonl

// All images.  Throws Error: kNoInput for a missing manifest, kBadData naming file and line.  Images themselves are not
// looked at.
std::unique_ptr<ImageStore> open_image_manifest(const std::string& path);

// By `split`.  Without this column all are for training.
ImageSplits open_split_manifest(const std::string& path);

}  // namespace convoy
