//! Turns the table of methods into types, decoders and encoders; knows no method by name.

macro_rules! field_type {
    (bit) => { bool };
    (octet) => { u8 };
    (short) => { u16 };
    (long) => { u32 };
    (longlong) => { u64 };
    (shortstr) => { &'a str };
    (longstr) => { &'a [u8] };
    (table) => { FieldTable };
}

macro_rules! put_field {
    ($writer:ident, table, $value:expr) => {
        $writer.table(&$value)
    };
    ($writer:ident, $kind:ident, $value:expr) => {
        $writer.$kind($value)
    };
}

macro_rules! methods {
    ($($class_id:literal $class:ident {
        $($method_id:literal $name:ident $(<$life:lifetime>)? $text:literal
            { $($field:ident : $kind:tt),* $(,)? })+
    })+) => {
        $($(
            #[doc = concat!("`", $text, "`")]
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name $(<$life>)? { $(pub $field: field_type!($kind)),* }

            impl<'a> $name $(<$life>)? {
                /// Reads the fields, which stand behind the method's ids.
                fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
                    // A method without fields reads nothing.
                    let _ = &reader;
                    Ok(Self { $($field: reader.$kind()?),* })
                }
            }

            impl $(<$life>)? Encode for $name $(<$life>)? {
                const ID: (u16, u16) = ($class_id, $method_id);
                fn encode_fields(&self, writer: &mut Writer<'_>) {
                    $(put_field!(writer, $kind, self.$field);)*
                    // A method without fields writes nothing.
                    let _ = writer;
                }
            }
        )+)+

        /// Any method of the protocol, borrowing its texts from the frame.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Method<'a> {
            $($($name($name $(<$life>)?),)+)+
        }

        impl<'a> Method<'a> {
            /// Decodes a method frame's payload.
            ///
            /// # Errors
            /// When the method is unknown, or its fields are cut short or malformed.
            pub fn decode(payload: &'a [u8]) -> Result<Self, Error> {
                let mut reader = Reader::new(payload);
                let id = (reader.short()?, reader.short()?);
                let method = match id {
                    $($(($class_id, $method_id) => Self::$name($name::read(&mut reader)?),)+)+
                    (class_id, method_id) => {
                        return Err(Error::UnknownMethod { class_id, method_id });
                    }
                };
                reader.finish()?;
                Ok(method)
            }

            /// Class and method id of a method frame's payload; zeros when they are of no method.
            #[must_use]
            pub fn id_of(payload: &[u8]) -> (u16, u16) {
                let mut reader = Reader::new(payload);
                match (reader.short(), reader.short()) {
                    $($((Ok($class_id), Ok($method_id)) => ($class_id, $method_id),)+)+
                    _ => (0, 0),
                }
            }

            /// Class and method id.
            #[must_use]
            pub fn id(&self) -> (u16, u16) {
                match self { $($(Self::$name(_) => ($class_id, $method_id),)+)+ }
            }

            /// The name as the specification spells it, such as `queue.declare`.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $($(Self::$name(_) => $text,)+)+ }
            }

            /// Appends ids and fields.
            pub fn encode(&self, writer: &mut Writer<'_>) {
                match self { $($(Self::$name(method) => method.encode_payload(writer),)+)+ }
            }
        }
    };
}

pub(super) use {field_type, methods, put_field};
