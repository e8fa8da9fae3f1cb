//! From what people write to model graphs: layer lists and the text form.
