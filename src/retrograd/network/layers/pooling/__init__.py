"""Pooling and upsampling: values summarised or spread over neighbourhoods."""
