// The two ways in which Keras puts layers into an HDF5 file; for keras_file.cpp.
#pragma once

#include <string>
#include <vector>

#include "core/io/hdf5.h"
#include "core/io/keras_file.h"

namespace convoy {

// "/a/b", also where `above` is the root.
std::string join_path(const std::string& above, const std::string& name);

// A list of texts, or one cut up into name0, name1, … because it is too long for one attribute.  Empty: none.
std::vector<std::string> get_text_list(const Hdf5Group& group, const std::string& name);
void add_text_list(Hdf5Group& group, const std::string& name, const std::vector<std::string>& texts);

// Of attributes that are one text; "" for none.
std::string get_text(const Hdf5Group& group, const std::string& name);
void add_text(Hdf5Group& group, const std::string& name, const std::string& text);  // "": nothing

// ---- Up to Keras 2, and model.save() of Keras 3 to .h5: layer_names and weight_names say what there is.

bool is_legacy(const Hdf5File& file);
// Takes the tensors out of `from`.
void read_legacy(Hdf5File& from, KerasFile& to);
void write_legacy(const KerasFile& from, Hdf5File& to);

// ---- save_weights() of Keras 3, and the member of a .keras: groups "vars" with datasets 0, 1, …

bool is_vars(const Hdf5File& file);
void read_vars(Hdf5File& from, KerasFile& to);
void write_vars(const KerasFile& from, Hdf5File& to);

}  // namespace convoy
