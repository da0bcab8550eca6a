// Changes of colour, in place, as Pillow's ImageEnhance and ImageOps and torchvision's functions on PIL images.
//
// All are equal to them bit for bit, at every instruction set.  `factor` is theirs: 1 changes nothing, 0 gives the
// degenerate image (black, a mean grey, grey, blurred); more than 1 exaggerates.
// Threads: any, each on its own image.  No memory is allocated but two rows a thread, once, for sharpness.
#pragma once

#include "core/image/image_view.h"

namespace convoy {

void adjust_brightness(const ImageView& image, float factor);
void adjust_contrast(const ImageView& image, float factor);
void adjust_saturation(const ImageView& image, float factor);  // nothing to do for grey images
void adjust_sharpness(const ImageView& image, float factor);
void adjust_hue(const ImageView& image, double turn);  // -0.5 .. 0.5 of a turn; nothing to do for grey images

void posterize(const ImageView& image, int bits);        // 1 .. 8 bits stay
void solarize(const ImageView& image, float threshold);  // inverts what is not below it
void invert(const ImageView& image);
void autocontrast(const ImageView& image);  // each channel is stretched to 0 .. 255
void equalize(const ImageView& image);      // makes the histogram of each channel flat

}  // namespace convoy
